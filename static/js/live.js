// The live footer and its socket. hx-ws opens it and swaps what comes in; this module says hello, watches the
// sequence numbers and the clock, pauses, keeps what is under the pointer where it is, and tells the reader in one line
// how fresh the page is. Frames: realtime/consumer.py.
import { learn, now } from "./clock.js";

const POLL_MS = 5000;
const SILENCE_MS = 15000; // three beats of the server
const ANSWER_MS = 5000; // a refresh that takes longer was asked of a dead socket
const JUMP_MS = 5000; // a second that took this long: the machine slept, or the browser froze the page
const PRESS_MS = 1000; // a pointer that is held down keeps what it holds for so long
const ACT = "#main [data-row] .btn";

const footer = document.querySelector("#live[data-live]");
if (footer) start(footer);

function start(footer) {
  let socket = null;
  let away = "connecting"; // what there is instead of a socket
  let seq = 0;
  let asOf = Number(document.body.dataset.now);
  let heardAt = Date.now();
  let tickedAt = Date.now();
  let serverState = "live";
  let waiting = 0;
  let shownBefore = "";
  let pausedBefore = false;
  let poll = null;
  // Refreshes are numbered, and the server says which one a frame shows: so the page knows when it is right again.
  let asked = 0;
  let askedAt = 0;
  let answered = 0;
  let isBehind = false;

  const title = document.title;
  const send = (frame) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(frame));
  const shown = () => [...document.querySelectorAll("#main [data-row]")].map((row) => row.dataset.row);
  const each = (name, text) => footer.querySelectorAll(`[${name}]`).forEach((node) => { if (node.textContent !== text) node.textContent = text; });

  function refresh(more = {}) {
    asked += 1;
    askedAt = Date.now();
    send({ refresh: asked, shown: shown(), ...more });
  }

  // ── why updates wait

  const hasPointer = matchMedia("(hover: hover)");
  let pressed = null; // the control that was used: its reader waits for what comes of it

  function reason() {
    if (document.hidden) return "paused while this tab is hidden";
    const selected = document.querySelectorAll("#main [data-select]:checked").length;
    if (selected) return `paused while ${selected} ${selected === 1 ? "row is" : "rows are"} selected`;
    const form = document.querySelector("#main details[data-pauses][open], #main [data-pauses]:focus-within:not(details)");
    if (form) return "paused while a form is open";
    // What a button does may change with its row: not between the look at it and the click.
    const button = hasPointer.matches && document.querySelector(`${ACT}:hover`);
    return button && button !== pressed ? "paused while you point at a button" : "";
  }

  document.addEventListener("click", (event) => { pressed = event.target.closest(ACT); settle(); });
  for (const name of ["pointerover", "pointerout"]) {
    document.addEventListener(name, (event) => {
      const button = event.target.closest?.(ACT);
      if (!button || button.contains(event.relatedTarget)) return;
      if (name === "pointerout") pressed = null;
      setTimeout(settle);
    });
  }

  // ── what the reader is told

  function state() {
    if (!socket) return away;
    if (reason()) return "paused";
    return answered < asked && (isBehind || Date.now() - askedAt > 1000) ? "behind" : serverState;
  }

  function show() {
    const is = state();
    if (footer.dataset.state !== is) footer.dataset.state = is;
    if (asOf) each("data-as-of", new Date(asOf).toISOString().slice(11, 23));
    if (is === "paused") each("data-why", reason());
    const count = typeof waiting === "number" ? waiting.toLocaleString("en-US") : "many";
    each("data-waiting", `${count} ${waiting === 1 ? "change waits" : "changes wait"}`);
    footer.querySelector("[data-waits]").hidden = !waiting;
    const named = document.hidden && waiting ? `(${count}) ${title}` : title;
    if (document.title !== named) document.title = named;
  }

  function settle() {
    const paused = reason() !== "";
    if (paused && !pausedBefore) send({ paused });
    if (!paused && pausedBefore) refresh({ paused });
    pausedBefore = paused;
    show();
  }

  // ── without a socket the page asks for itself, by the same address and the same fragments

  let isAnswered = false;
  footer.addEventListener("htmx:before:request", () => { isAnswered = false; });
  footer.addEventListener("htmx:before:response", (event) => { isAnswered = event.detail.ctx.response.status < 400; });

  function ask() {
    if (reason()) return;
    const askedAt = now();
    htmx.ajax("GET", location.href, { source: footer, target: footer, swap: "none", values: { shown: shown().join() } }).then(
      () => { if (isAnswered && poll) { asOf = askedAt; waiting = 0; show(); } },
    );
  }

  function lose(how) {
    socket = null;
    away = how;
    poll ??= setInterval(ask, POLL_MS);
    show();
  }

  // A cut cable closes nothing. hx-ws opens another socket once this one has ended.
  function cut() {
    const dead = socket;
    lose("lost");
    dead.close();
    ask();
  }

  function hear(connection) {
    socket = connection.socket;
    heardAt = Date.now();
    clearInterval(poll);
    poll = null;
  }

  // ── the socket

  footer.addEventListener("htmx:ws:after:connection", (event) => {
    hear(event.detail.connection);
    seq = 0;
    serverState = "live";
    pausedBefore = reason() !== "";
    isBehind = away !== "connecting";
    // What changed between the rendering of the page, or the loss of the last socket, and now.
    refresh({ nonce: document.querySelector("script[nonce]").nonce, sent_at: Date.now(), paused: pausedBefore });
    if (!isBehind) away = "lost";
    show();
  });

  let anchor = null;

  footer.addEventListener("htmx:ws:before:message:incoming", (event) => {
    const frame = JSON.parse(event.detail.message.data);
    hear(event.detail.connection);
    if (frame.echo) learn(frame.echo, frame.at);
    if (frame.seq !== seq + 1) {
      isBehind = true;
      refresh();
    }
    seq = frame.seq;
    serverState = frame.state;
    if (frame.waiting) waiting = frame.waiting;
    if (frame.content === undefined) return;
    if (reason() && !frame.refreshed) {
      // It was on its way when the reader began: asked for again when updates go on.
      event.preventDefault();
      waiting ||= "many";
      settle();
      return;
    }
    if (held) event.detail.waitUntil(held.then(() => { anchor = place(); }));
    anchor = place();
  });

  footer.addEventListener("htmx:ws:after:message:incoming", (event) => {
    const frame = JSON.parse(event.detail.message.data);
    if (frame.refreshed) answered = Math.max(answered, frame.refreshed);
    if (answered === asked) isBehind = false;
    if (frame.content !== undefined) {
      stay(anchor);
      waiting = 0;
      asOf = frame.at;
      each("data-latency", frame.changed_at ? ` · ${Math.max(Math.round(now() - frame.changed_at), 0)} ms` : "");
    } else if (frame.state === "live" && !waiting && answered === asked) {
      // A server that says "degraded" and sends nothing could not look: the page is as old as it was.
      asOf = frame.at;
    }
    const rows = shown();
    if (rows.join() !== shownBefore) {
      shownBefore = rows.join();
      send({ shown: rows });
    }
    settle();
  });

  footer.addEventListener("htmx:ws:close", (event) => {
    if (event.detail.reason === "cancelled") return;
    lose(event.detail.code === 1012 || serverState === "restarting" ? "restarting" : "lost");
    // The browser left this page and kept it; somebody came back to it.
    if (event.detail.code === 1000) setTimeout(() => footer.dispatchEvent(new CustomEvent("aerodash:connect")));
  });

  // ── nothing moves under the pointer

  let pointer = null;
  let held = null; // settled once the pointer that is down is up again
  document.documentElement.style.overflowAnchor = "none"; // the browser's own way of this would add to ours

  document.addEventListener("pointermove", (event) => { pointer = [event.clientX, event.clientY]; }, { passive: true });
  document.addEventListener("pointerdown", (event) => {
    pointer = [event.clientX, event.clientY];
    held = new Promise((resolve) => {
      const let_go = () => setTimeout(() => { held = null; resolve(); }, 50); // after the click that follows
      for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, let_go, { once: true });
      setTimeout(let_go, PRESS_MS);
    });
  }, { passive: true });

  // What the reader looks at, and where it stands: the row under the pointer, else the first that is in sight.
  function place() {
    const under = pointer && document.elementFromPoint(...pointer)?.closest("#main [data-row], #main [id]:not(#main)");
    const rows = document.querySelectorAll("#main [data-row]");
    const node = under ?? [...rows].find((row) => row.getBoundingClientRect().bottom > 0);
    return node ? { node, top: node.getBoundingClientRect().top } : null;
  }

  function stay(was) {
    if (!was?.node.isConnected) return;
    const moved = was.node.getBoundingClientRect().top - was.top;
    if (Math.abs(moved) >= 1) scrollBy({ top: moved, behavior: "instant" });
  }

  // A row fades once for each change, so what makes it fade does not stay.
  document.addEventListener("animationend", (event) => {
    if (event.target.matches?.("#main [data-row].is-fresh")) event.target.classList.remove("is-fresh");
  });

  // ── the page's own life

  document.addEventListener("change", settle);
  document.addEventListener("toggle", settle, true);
  document.addEventListener("focusin", settle);
  document.addEventListener("focusout", () => setTimeout(settle));
  document.addEventListener("aerodash:ended", () => { if (!reason()) refresh(); });
  document.addEventListener("visibilitychange", () => {
    heardAt = tickedAt = Date.now(); // a hidden page's clock is slow, and its socket may have gone with the network
    settle();
    if (!document.hidden && !socket) ask();
  });
  document.addEventListener("resume", wake);
  addEventListener("online", () => { if (!socket) ask(); });
  // Once, and then they wait again: what is selected or typed stays.
  footer.querySelector("[data-resume]").addEventListener("click", () => refresh());
  footer.querySelector("[data-reload]").addEventListener("click", () => location.reload());

  function wake() {
    if (!socket || document.hidden) return;
    heardAt = Date.now();
    isBehind = true;
    refresh();
    show();
  }

  setInterval(() => {
    const at = Date.now();
    const slept = at - tickedAt > JUMP_MS;
    tickedAt = at;
    if (slept) wake();
    // A restart that takes this long is none.
    if (!socket && away === "restarting" && at - heardAt > SILENCE_MS) away = "lost";
    if (socket && !document.hidden && (at - heardAt > SILENCE_MS || (answered < asked && at - askedAt > ANSWER_MS))) cut();
    show();
  }, 1000);
}
