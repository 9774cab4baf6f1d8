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
sweep();
