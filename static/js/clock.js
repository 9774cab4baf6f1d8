// The server's clock as this browser knows it: countdowns must not depend on the local one being right.
let offset = 0;

const page = performance.getEntriesByType("navigation")[0];
if (page?.responseStart && document.body.dataset.now) {
  offset = Number(document.body.dataset.now) - (performance.timeOrigin + page.responseStart);
}

export const now = () => Date.now() + offset;

// sentAt: when we asked, by our own clock. serverAt: what the server's clock said in between.
export function learn(sentAt, serverAt) {
  offset = serverAt - (sentAt + Date.now()) / 2;
}
