// What was done, said once at the lower right. Good news leaves after a while; an error stays until it is dismissed.
const STAY_MS = 8000;
const leaving = new WeakMap(); // toast: what it says, and when it goes; a morph may give an old one new words

function sweep() {
  for (const toast of document.querySelectorAll("#messages [data-toast]")) {
    const said = `${toast.dataset.toast} ${toast.textContent}`;
    if (leaving.get(toast)?.said === said) continue;
    clearTimeout(leaving.get(toast)?.timer);
    leaving.set(toast, { said, timer: toast.dataset.toast === "error" ? 0 : setTimeout(() => leave(toast, said), STAY_MS) });
  }
}

function leave(toast, said) {
  if (toast.matches(":hover, :focus-within")) leaving.set(toast, { said, timer: setTimeout(() => leave(toast, said), STAY_MS) });
  else toast.remove();
}

// Where the focus was inside, it goes on to the next one, else to the page: never to nowhere.
function dismiss(toast) {
  const had = toast.contains(document.activeElement);
  const next = toast.nextElementSibling ?? toast.previousElementSibling;
  toast.remove();
  if (had) (next?.querySelector("[data-dismiss]") ?? document.getElementById("main"))?.focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-dismiss]");
  if (button) dismiss(button.closest("[data-toast]"));
});
document.addEventListener("keydown", (event) => {
  const toast = event.key === "Escape" && event.target.closest("[data-toast]");
  if (toast) dismiss(toast);
});
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
