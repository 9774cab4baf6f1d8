// Relative times, countdowns and running times, once a second. The texts are those of aerodash_ui.py.
import { now } from "./clock.js";

const two = (n) => String(n).padStart(2, "0");
const grouped = (n) => n.toLocaleString("en-US");

function spell(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
  return `${grouped(Math.floor(s / 86400))} d ${two(Math.floor(s / 3600) % 24)} h`;
}

function left(seconds) {
  const s = Math.max(Math.floor(seconds), 0);
  if (s >= 86400) return `${grouped(Math.floor(s / 86400))} d ${two(Math.floor(s / 3600) % 24)} h`;
  const short = `${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return s >= 3600 ? `${two(Math.floor(s / 3600))}:${short}` : short;
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function tick() {
  if (document.hidden) return;
  const t = now();
  let ended = false;
  for (const node of document.querySelectorAll("time[data-ago], time[data-until], time[data-since]")) {
    const seconds = (t - Date.parse(node.dateTime)) / 1000;
    if ("ago" in node.dataset) write(node, `${spell(Math.max(seconds, 0))} ago`);
    else if ("since" in node.dataset) write(node, left(seconds));
    else {
      ended ||= seconds >= 0 && node.textContent !== node.dataset.ended;
      write(node, seconds < 0 ? node.dataset.before + left(-seconds) : node.dataset.ended);
      node.classList.toggle("ad-warn", "soon" in node.dataset && seconds < 0 && seconds > -60);
    }
  }
  // A job is due, an entry has expired: nobody writes that down, so nobody pushes it. live.js asks.
  if (ended) document.dispatchEvent(new Event("aerodash:ended"));
}

setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
