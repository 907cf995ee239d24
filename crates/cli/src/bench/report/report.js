// Shows the values of all plots at the time under the pointer. The page is complete without it.
"use strict";
const [places, starts] = JSON.parse(document.querySelector("main").dataset.times);
const frames = [...document.querySelectorAll("[data-values]")].map((frame) => {
  const cursor = frame.appendChild(document.createElement("i"));
  const tip = frame.appendChild(document.createElement("p"));
  cursor.className = "cursor";
  tip.className = "tip";
  return { frame, cursor, tip, lines: JSON.parse(frame.dataset.values) };
});

const number = (value) => value.toLocaleString("en", { maximumSignificantDigits: value < 1000 ? 3 : 21 });
const formats = {
  rate: number,
  count: number,
  time(value) {
    const [size, unit] = value < 999.5 ? [1, "ns"] : value < 999.5e3 ? [1e3, "µs"] : value < 999.5e6 ? [1e6, "ms"] : [1e9, "s"];
    return `${Number((value / size).toPrecision(3))} ${unit}`;
  },
};

function show(place, of) {
  let nearest = 0;
  for (let index = 1; index < places.length; index += 1) {
    if (Math.abs(places[index] - place) < Math.abs(places[nearest] - place)) nearest = index;
  }
  for (const { frame, cursor, tip, lines } of frames) {
    frame.classList.toggle("pointed", place !== null);
    if (place === null || places.length === 0) continue;
    cursor.style.left = `${places[nearest] * 100}%`;
    tip.classList.toggle("left", places[nearest] > 0.5);
    tip.style.left = cursor.style.left;
    tip.hidden = frame !== of;
    const values = lines.map(([name, unit, list]) => `${name} ${list[nearest] === null ? "–" : formats[unit](list[nearest])}`);
    tip.textContent = [`from ${starts[nearest]} s`, ...values].join("\n");
  }
}

for (const { frame } of frames) {
  const point = (event) => {
    const box = frame.getBoundingClientRect();
    show((event.clientX - box.left) / box.width, frame);
  };
  frame.addEventListener("pointermove", point);
  frame.addEventListener("pointerdown", point);
  frame.addEventListener("pointerleave", () => show(null, frame));
}
