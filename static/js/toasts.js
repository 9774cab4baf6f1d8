// What was done, said once at the lower right. Good news leaves after a while; an error stays until it is dismissed.
const STAY_MS = 8000;
const dismissIn = new WeakMap();

function sweep() {
  for (const toast of document.querySelectorAll("[data-toast]:not([data-toast=error])")) {
    if (!dismissIn.has(toast)) dismissIn.set(toast, setTimeout(() => leave(toast), STAY_MS));
  }
}

function leave(toast) {
  if (toast.matches(":hover, :focus-within")) setTimeout(() => leave(toast), STAY_MS);
  else toast.remove();
}

document.addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest("[data-toast]").remove());
document.addEventListener("htmx:after:swap", sweep);

// An action whose answer never came, or came as a page that no fragment speaks for: silence would look like success.
function say(context, text) {
  const template = document.getElementById("no-answer");
  if (!template || !context || context.sourceElement.matches("#live")) return; // the footer says so itself
  const toast = template.content.firstElementChild.cloneNode(true);
  toast.querySelector("span").textContent = text;
  document.getElementById("messages").replaceChildren(toast);
}

document.addEventListener("htmx:error", ({ detail }) => {
  say(detail.ctx, "No answer came from the server, so this may or may not have been done. Look again once the connection is back.");
});
document.addEventListener("htmx:response:error", ({ detail }) => {
  const { status, headers } = detail.ctx.response;
  if (detail.ctx.text.includes("<hx-partial")) return;
  say(detail.ctx, `The server could not do this (${status}, request ${headers.get("X-Request-Id")}). Look again before you repeat it.`);
});
sweep();
