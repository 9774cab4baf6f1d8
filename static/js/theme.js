// The theme button without a page load: the server still writes the cookie.
const ORDER = ["auto", "light", "dark"];

function show(form, theme) {
  if (theme === "auto") delete document.documentElement.dataset.bsTheme;
  else document.documentElement.dataset.bsTheme = theme;
  const next = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
  const button = form.querySelector("button");
  button.value = next;
  button.title = `Change to ${next}`;
  form.querySelector(".ad-count").textContent = theme;
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-theme-form]");
  if (!form) return;
  event.preventDefault();
  const body = new FormData(form, event.submitter ?? form.querySelector("button"));
  show(form, body.get("theme"));
  const answer = await fetch(form.action, { method: "POST", body, redirect: "manual" });
  if (answer.type !== "opaqueredirect" && !answer.ok) location.reload();
});
