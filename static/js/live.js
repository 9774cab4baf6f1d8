// The live footer and its socket. hx-ws opens it and swaps what comes in; this module says hello, watches the
// sequence numbers, pauses, and tells the reader in one line how fresh the page is. Frames: realtime/consumer.py.
import { learn, now } from "./clock.js";

const POLL_MS = 5000;
const SILENCE_MS = 15000; // three beats of the server

const footer = document.querySelector("#live[data-live]");
if (footer) start(footer);

function start(footer) {
  let socket = null;
  let seq = 0;
  let asOf = Number(document.body.dataset.now);
  let heardAt = 0;
  let serverState = "live";
  let waiting = 0;
  let shownBefore = "";
  let pausedBefore = false;
  let poll = null;

  const send = (frame) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(frame));
  const shown = () => [...document.querySelectorAll("#main [data-row]")].map((row) => row.dataset.row);
  const each = (name, text) => footer.querySelectorAll(`[${name}]`).forEach((node) => { node.textContent = text; });

  function reason() {
    const selected = document.querySelectorAll("#main [data-select]:checked").length;
    if (selected) return `paused while ${selected} ${selected === 1 ? "row is" : "rows are"} selected`;
    const form = document.querySelector("#main details[data-pauses][open], #main [data-pauses]:focus-within:not(details)");
    return form ? "paused while a form is open" : "";
  }

  function show(state) {
    footer.dataset.state = state;
    if (asOf) each("data-as-of", new Date(asOf).toISOString().slice(11, 23));
  }

  function settle() {
    const why = reason();
    if (why) each("data-why", why);
    each("data-waiting", waiting === 1 ? "1 change" : typeof waiting === "number" ? `${waiting.toLocaleString("en-US")} changes` : "what is new");
    footer.querySelector("[data-waits]").hidden = !waiting;
    if (why !== "" && !pausedBefore) send({ paused: true });
    if (why === "" && pausedBefore) { waiting = 0; send({ paused: false, refresh: true, shown: shown() }); }
    pausedBefore = why !== "";
    if (socket?.readyState === WebSocket.OPEN) show(why ? "paused" : serverState);
  }

  // While the socket is away the page asks for itself, by the same address and the same fragments.
  let answered = false;
  footer.addEventListener("htmx:before:request", () => { answered = false; });
  footer.addEventListener("htmx:before:response", (event) => { answered = event.detail.ctx.response.status < 400; });

  function ask() {
    if (document.hidden || reason()) return;
    htmx.ajax("GET", location.href, { source: footer, target: footer, swap: "none", values: { shown: shown().join() } }).then(
      () => { if (answered && poll) { asOf = now(); show("lost"); } },
    );
  }

  function lost(state) {
    socket = null;
    show(state);
    poll ??= setInterval(ask, POLL_MS);
  }

  function heard(connection) {
    socket = connection.socket;
    heardAt = Date.now();
    clearInterval(poll);
    poll = null;
  }

  footer.addEventListener("htmx:ws:after:connection", (event) => {
    heard(event.detail.connection);
    seq = 0;
    pausedBefore = reason() !== "";
    // refresh: what changed between the rendering of the page, or the loss of the last socket, and now
    send({ nonce: document.querySelector("script[nonce]").nonce, shown: shown(), sent_at: Date.now(), paused: pausedBefore, refresh: true });
  });

  footer.addEventListener("htmx:ws:before:message:incoming", (event) => {
    const frame = JSON.parse(event.detail.message.data);
    heard(event.detail.connection);
    if (frame.echo) learn(frame.echo, frame.at);
    if (frame.seq !== seq + 1) {
      show("behind");
      send({ refresh: true, shown: shown() });
    }
    seq = frame.seq;
    serverState = frame.state;
    if (frame.waiting) waiting = frame.waiting;
    if (frame.content !== undefined && reason()) {
      event.preventDefault(); // was on its way when the reader began to select: asked for again on resume
      waiting ||= "new";
      settle();
    }
  });

  footer.addEventListener("htmx:ws:after:message:incoming", (event) => {
    const frame = JSON.parse(event.detail.message.data);
    // A server that says "degraded" and sends nothing could not look: the page is as old as it was.
    if (!reason() && (frame.state === "live" || frame.content !== undefined)) asOf = frame.at;
    if (frame.content !== undefined) {
      each("data-latency", frame.changed_at ? ` · ${Math.max(Math.round(now() - frame.changed_at), 0)} ms` : "");
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
    if (document.hidden) { socket = null; each("data-why", "paused while this tab is hidden"); show("paused"); }
    else lost(event.detail.code === 1012 || serverState === "restarting" ? "restarting" : "lost");
  });

  document.addEventListener("change", settle);
  document.addEventListener("toggle", settle, true);
  document.addEventListener("focusin", settle);
  document.addEventListener("aerodash:ended", () => { if (!reason()) send({ refresh: true, shown: shown() }); });
  document.addEventListener("focusout", () => setTimeout(settle));
  footer.querySelector("[data-resume]").addEventListener("click", () => {
    document.querySelectorAll("#main [data-select]:checked").forEach((box) => { box.checked = false; });
    document.querySelectorAll("#main details[data-pauses][open]").forEach((fold) => { fold.open = false; });
    settle();
  });
  footer.querySelector("[data-reload]").addEventListener("click", () => location.reload());

  setInterval(() => {
    // A restart that takes this long is none.
    if (!socket && footer.dataset.state === "restarting" && Date.now() - heardAt > SILENCE_MS) show("lost");
    // A cut cable closes nothing: silence is a loss, too. Closing with a code of ours would not reconnect.
    if (socket && Date.now() - heardAt > SILENCE_MS && !document.hidden) { lost("lost"); }
  }, 1000);
}
