// Charts: [data-chart] carries its figures as data-figures, and uPlot draws them into its [data-plot]. A push that
// changes the attribute changes the lines in place, also under the pointer. Everything else of the panel (legend,
// links, table) is the server's: templates/components/chart.html.
import uPlot from "../vendor/uplot-1.6.32/uPlot.esm.js";

const NARROWEST_PX = 8; // a drag that is shorter was a click
const BINARY_STEPS = Array.from({ length: 50 }, (_, n) => 2 ** n);
const drawn = new Map(); // panel: its plot

const grouped = (n, places) => n.toLocaleString("en-US", { minimumFractionDigits: places, maximumFractionDigits: places });
const number = (n) => grouped(n, Number.isInteger(n) || Math.abs(n) >= 100 ? 0 : Math.abs(n) >= 1 ? 1 : 2);
const two = (n) => String(n).padStart(2, "0");

function size(bytes) {
  if (bytes < 1023.95) return `${grouped(bytes, 0)} B`;
  const power = Math.min(Math.floor(Math.log2(bytes / 1023.95) / 10) + 1, 4);
  return `${grouped(bytes / 1024 ** power, 1)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

function spell(s) {
  if (s < 60) return s < 0.01 ? "<0.01 s" : `${s.toFixed(s < 1 ? 2 : s < 10 ? 1 : 0)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(Math.floor(s % 60))} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
  return `${grouped(Math.floor(s / 86400), 0)} d ${two(Math.floor(s / 3600) % 24)} h`;
}

// The words of aerodash.console.charts.figure.
export function figure(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "bytes") return size(Math.round(value));
  if (unit === "ms") return value < 1000 ? `${number(value)} ms` : spell(value / 1000);
  if (unit === "s") return spell(value);
  return unit === "%" ? `${number(value)} %` : number(value);
}

// Short words for an axis, where 0 needs no unit and all figures are round ones.
function onAxis(values, unit) {
  return values.map((value) => (value === 0 ? "0" : unit === "s" && value < 60 ? `${value} s` : unit === "ms" && value >= 1000 ? `${value / 1000} s` : figure(value, unit)));
}

function moment(seconds, apart) {
  const at = new Date(seconds * 1000).toISOString();
  if (apart >= 86400) return at.slice(0, 10);
  return apart < 60 ? at.slice(11, 19) : at.slice(11, 16);
}

function tick(seconds, apart) {
  const at = new Date(seconds * 1000);
  if (apart < 86400 && seconds % 86400 !== 0) return moment(seconds, apart);
  return at.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
}

// Colours come from the page at each drawing, so that a change of theme needs a drawing and no more.
const colour = (panel, tone) => getComputedStyle(panel.querySelector(`.ad-c-${tone}`) ?? panel).color;

function options(panel, plot, figures) {
  const ink = () => getComputedStyle(plot).color;
  const grid = { stroke: () => getComputedStyle(plot).borderTopColor, width: 1 };
  const axis = { stroke: ink, font: "11px Inter Variable, sans-serif", grid, ticks: { show: false }, gap: 4 };
  const { unit } = figures;
  return {
    width: plot.clientWidth,
    height: plot.clientHeight,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    legend: { show: false },
    padding: [8, 12, 0, 0],
    cursor: { y: false, points: { size: 6 }, sync: { key: "page", setSeries: false, filters: { pub: isLook } }, drag: { x: figures.zoom !== "", y: false, setScale: false } },
    scales: { x: { time: true }, y: { range: (u, low, high) => (unit === "%" ? [0, 100] : [Math.min(low ?? 0, 0), high > 0 ? high * 1.08 : 1]) } },
    axes: [
      { ...axis, size: 24, values: (u, splits, index, space, apart) => splits.map((at) => tick(at, apart)) },
      {
        ...axis,
        space: 26,
        ...(unit === "bytes" ? { incrs: BINARY_STEPS } : {}),
        size: (u, values) => Math.max(...(values ?? [""]).map((text) => text.length)) * 6.5 + 14,
        values: (u, splits) => onAxis(splits, unit),
      },
    ],
    series: [{}, ...figures.series.map((one) => ({
      stroke: () => colour(panel, one.tone),
      width: 1.5,
      dash: one.dash.split(" ").filter(Boolean).map(Number),
      points: { show: true, size: 4, filter: alone },
    }))],
    hooks: { draw: [(u) => mark(panel, u)], setCursor: [(u) => tell(panel, u)], setSelect: [(u) => zoom(u, panel)] },
  };
}

// The crosshair is shared; what is marked by dragging is the chart's own.
const isLook = (type) => type === "mousemove" || type === "mouseleave";

// Moments whose neighbours are unknown: a line would not show them.
function alone(u, index) {
  const values = u.data[index];
  return values.flatMap((value, i) => (value !== null && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null ? [i] : []));
}

function mark(panel, u) {
  const { markers } = drawn.get(panel)?.figures ?? JSON.parse(panel.dataset.figures);
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour(panel, "accent");
  for (const at of markers) {
    const x = u.valToPos(at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.lineWidth = px;
    ctx.setLineDash([3 * px, 3 * px]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.moveTo(x - 5 * px, bbox.top);
    ctx.lineTo(x + 5 * px, bbox.top);
    ctx.lineTo(x, bbox.top + 7 * px);
    ctx.fill();
  }
  ctx.restore();
}

// The legend says what stands under the crosshair, else the newest figures.
function tell(panel, u) {
  const { idx } = u.cursor;
  const { unit, at } = drawn.get(panel)?.figures ?? JSON.parse(panel.dataset.figures);
  panel.querySelectorAll(".ad-legend b").forEach((node, i) => {
    node.textContent = idx == null ? node.dataset.now : figure(u.data[i + 1]?.[idx], unit);
  });
  const apart = at.length > 1 ? at[1] - at[0] : 60;
  panel.querySelector("[data-chart-at]").textContent = idx == null ? "" : `at ${moment(at[idx], apart)}`;
}

function zoom(u, panel) {
  if (u.select.width < NARROWEST_PX) return;
  const url = new URL(JSON.parse(panel.dataset.figures).zoom, location.href);
  url.searchParams.set("from", Math.floor(u.posToVal(u.select.left, "x")));
  url.searchParams.set("to", Math.ceil(u.posToVal(u.select.left + u.select.width, "x")));
  location.assign(url);
}

function draw(panel) {
  const figures = JSON.parse(panel.dataset.figures);
  const plot = panel.querySelector("[data-plot]");
  const data = [figures.at, ...figures.series.map((one) => one.values)];
  const before = drawn.get(panel);
  if (before && before.plot === plot && before.looks === looks(figures)) {
    before.figures = figures;
    before.text = panel.dataset.figures;
    before.u.setData(data);
    tell(panel, before.u);
    return;
  }
  if (before) end(panel);
  const u = new uPlot(options(panel, plot, figures), data, plot);
  const resized = new ResizeObserver(() => {
    if (plot.clientWidth && (plot.clientWidth !== u.width || plot.clientHeight !== u.height)) u.setSize({ width: plot.clientWidth, height: plot.clientHeight });
  });
  resized.observe(plot);
  drawn.set(panel, { u, plot, figures, resized, text: panel.dataset.figures, looks: looks(figures) });
}

// What cannot be changed in a plot that stands.
const looks = (figures) => JSON.stringify([figures.unit, figures.zoom, figures.series.map((one) => [one.tone, one.dash])]);

function end(panel) {
  const { u, resized } = drawn.get(panel);
  resized.disconnect();
  u.destroy();
  drawn.delete(panel);
}

function look() {
  for (const [panel, { plot }] of drawn) if (!panel.isConnected || !plot.isConnected || !("chart" in panel.dataset)) end(panel);
  for (const panel of document.querySelectorAll("[data-chart]")) if (drawn.get(panel)?.text !== panel.dataset.figures) draw(panel);
}

const repaint = () => drawn.forEach(({ u }) => u.redraw());

look();
new MutationObserver(look).observe(document.getElementById("main") ?? document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-figures"] });
new MutationObserver(repaint).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
document.fonts.ready.then(repaint);
