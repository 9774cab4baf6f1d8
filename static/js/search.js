// The one search: the list below the field is htmx's; this moves through it with the arrow keys.
import { open } from "./dialogs.js";

export function search() {
  const dialog = open("find");
  const field = dialog?.querySelector("[data-find]") ?? document.querySelector("#main [data-find]");
  field?.focus();
  field?.select();
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const field = event.target.closest("[data-find]");
  const list = event.target.closest(".ad-found, dialog") ?? document.querySelector(".ad-found");
  const links = [...(list?.querySelectorAll("a[data-found]") ?? [])];
  const at = links.indexOf(event.target);
  if ((!field && at < 0) || !links.length) return;
  event.preventDefault();
  const next = at + (event.key === "ArrowDown" ? 1 : -1);
  if (next < 0) document.querySelector("dialog[open] [data-find], #main [data-find]")?.focus();
  else links[Math.min(next, links.length - 1)].focus();
});
