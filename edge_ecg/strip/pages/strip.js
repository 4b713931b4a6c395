// Draws the strip that edge-ecg sends: paper of 5 mm boxes, newest at the right. No library, nothing from elsewhere.
"use strict";

const key = new URLSearchParams(location.search).get("key");
const canvas = document.getElementById("strip");
const context = canvas.getContext("2d");
const show = (id, text) => { document.getElementById(id).textContent = text; };

const PX_PER_MM = 96 / 25.4;             // as CSS has it
const MM_PER_S = 25, BOX_MM = 5, KEEP_S = 60;
const GAINS = [2.5, 5, 10, 20, 40];
let gain = 10, fitted = true, stopped = false, ended = false;
let runs = [], beats = [], holes = [], marks = [], last = 0, frozen = null;

function take(event) {
  if (event.title !== undefined) { show("title", event.title); return; }
  if (event.end) { ended = true; show("state", "ended"); source.close(); return; }
  for (const run of event.runs) {
    // The line goes on from the run before, unless something was lost between them.
    const end = runs.length ? runs[runs.length - 1] : null;
    const at = end === null ? 0 : end.t[end.t.length - 1];
    if (end !== null && !event.holes.some((hole) => hole[0] >= at - 1e-3 && hole[1] <= run.t[0] + 1e-3)) {
      run.before = [at, end.mv[end.mv.length - 1]];
    }
    runs.push(run);
    last = Math.max(last, run.t[run.t.length - 1]);
  }
  beats = beats.filter((at) => at < event.since).concat(event.beats);
  // Holes and marks may be told twice, where they lie on the border of what is new.
  for (const hole of event.holes) if (!holes.some((one) => one[0] === hole[0])) holes.push(hole);
  for (const mark of event.marks) marks.push(mark);
  const old = last - KEEP_S;
  runs = runs.filter((run) => run.t[run.t.length - 1] > old);
  beats = beats.filter((at) => at > old);
  holes = holes.filter((hole) => hole[1] > old);
  marks = marks.filter((mark) => mark[0] > old);
  show("status", event.status);
  show("answer", event.answer);
  document.getElementById("answer").classList.toggle("none", !/ \d+ %/.test(event.answer));
}

function fit(height) {
  // A single spike may be cut off; beats, which are a few per cent of the time, may not.
  const heights = runs.slice(-60).flatMap((run) => run.mv.map(Math.abs)).sort((a, b) => a - b);
  const reach = heights.length ? heights[Math.floor(0.998 * (heights.length - 1))] : 0;
  const fitting = GAINS.filter((one) => 2 * reach * one * PX_PER_MM <= height);
  if (reach > 0) gain = fitting.length ? fitting[fitting.length - 1] : GAINS[0];
}

function draw() {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const px = MM_PER_S * PX_PER_MM;
  const to = stopped && frozen !== null ? frozen : Math.max(last, (width - 50) / px);
  const from = to - (width - 50) / px;
  const x = (at) => 40 + (at - from) * px;
  const box = BOX_MM * PX_PER_MM;
  const middle = Math.round(height / 2 / box) * box;
  if (fitted) fit(height - 40);
  context.fillStyle = "#fffdfb";
  context.fillRect(0, 0, width, height);
  grid(from, to, x, width, height, box, middle);
  context.save();
  context.beginPath();
  context.rect(40, 0, width - 40, height);
  context.clip();
  for (const hole of holes) hatch(x(hole[0]), Math.max(x(hole[1]), x(hole[0]) + 2), height, hole[2]);
  for (const run of runs) curve(run, x, middle);
  context.fillStyle = "#10101c";
  for (const at of beats) if (at >= from) triangle(x(at), 14);
  context.fillStyle = context.strokeStyle = "#0a5ca8";
  for (const [at, label] of marks) {
    if (at < from) continue;
    context.fillRect(x(at), 18, 1.5, height - 36);
    context.fillText(label, x(at) + 4, 30);
  }
  context.restore();
  show("scale", `${MM_PER_S} mm/s  ${gain} mm/mV`);
  requestAnimationFrame(draw);
}

function grid(from, to, x, width, height, box, middle) {
  context.font = "12px system-ui, sans-serif";
  context.lineWidth = 1;
  context.strokeStyle = "#f3cdc7";
  context.beginPath();
  for (let at = Math.ceil(from / 0.2) * 0.2; at <= to; at += 0.2) {
    context.moveTo(x(at), 0);
    context.lineTo(x(at), height - 18);
  }
  for (let y = middle % box; y < height - 18; y += box) {
    context.moveTo(40, y);
    context.lineTo(width, y);
  }
  context.stroke();
  context.fillStyle = "#555";
  for (let second = Math.max(Math.ceil(from), 0); second <= to; second += 1) {
    context.fillRect(x(second), height - 18, 1, 5);
    context.fillText(`${second} s`, x(second) - 8, height - 3);
  }
  for (let boxes = -20; boxes <= 20; boxes += 2) {
    const y = middle - boxes * box;
    if (y > 10 && y < height - 22) context.fillText(String(boxes * BOX_MM / gain), 4, y + 4);
  }
}

function curve(run, x, middle) {
  for (let begin = 0; begin < run.t.length;) {
    const off = run.off.length ? run.off[begin] : 0;
    let end = begin + 1;
    while (end < run.t.length && (run.off.length ? run.off[end] : 0) === off) end += 1;
    context.strokeStyle = off ? "#c01818" : "#10101c";
    context.lineWidth = 1.4;
    context.beginPath();
    if (begin === 0 && run.before) context.moveTo(x(run.before[0]), middle - run.before[1] * gain * PX_PER_MM);
    for (let index = begin; index < Math.min(end + 1, run.t.length); index += 1) {
      context.lineTo(x(run.t[index]), middle - run.mv[index] * gain * PX_PER_MM);
    }
    context.stroke();
    begin = end;
  }
}

function hatch(from, to, height, lost) {
  context.save();
  context.beginPath();
  context.rect(from, 0, to - from, height - 18);
  context.fillStyle = "#fff";
  context.fill();
  context.clip();
  context.strokeStyle = "#999";
  context.lineWidth = 1;
  context.beginPath();
  for (let shift = from - height; shift < to; shift += 8) {
    context.moveTo(shift, height);
    context.lineTo(shift + height, 0);
  }
  context.stroke();
  context.restore();
  context.fillStyle = "#555";
  context.fillText(`${lost} lost`, from + 3, height - 24);
}

function triangle(x, y) {
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x - 4, y - 7);
  context.lineTo(x + 4, y - 7);
  context.fill();
}

document.getElementById("stop").onclick = (event) => {
  stopped = !stopped;
  frozen = last;
  event.target.textContent = stopped ? "Go on" : "Stop";
};
const step = (by) => { fitted = false; gain = GAINS[Math.min(Math.max(GAINS.indexOf(gain) + by, 0), 4)]; };
document.getElementById("less").onclick = () => step(-1);
document.getElementById("more").onclick = () => step(1);

const source = new EventSource(`events?key=${encodeURIComponent(key)}`);
source.onmessage = (message) => { show("state", ""); take(JSON.parse(message.data)); };
source.onerror = () => { if (!ended) { source.close(); show("state", "edge-ecg has ended, or the link to it is lost"); } };
requestAnimationFrame(draw);
