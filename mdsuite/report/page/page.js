"use strict";

const settings = { responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "" };

function draw(place) {
  if (place.dataset.drawn) return;
  place.dataset.drawn = "yes";
  const figure = JSON.parse(document.getElementById(place.id + "-data").textContent);
  figure.layout.height = Number(place.dataset.height);
  Plotly.newPlot(place, figure.data, figure.layout, settings);
}

const near = new IntersectionObserver((seen) => {
  for (const each of seen) if (each.isIntersecting) { near.unobserve(each.target); draw(each.target); }
}, { rootMargin: "400px" });
for (const place of document.querySelectorAll(".plot")) near.observe(place);

const interval = /^[+]?(-?[\d.]+(?:e[+-]?\d+)?)/;

function key(cell) {
  if (cell.dataset.key !== undefined) return cell.dataset.key;
  const number = cell.textContent.trim().replace(/,/g, "").match(interval);
  return number ? number[1] : cell.textContent.trim();
}

function compare(one, other) {
  if (one === "" || other === "") return (one === "") - (other === "");
  const numbers = [Number(one), Number(other)];
  return numbers.some(Number.isNaN) ? one.localeCompare(other, "en", { numeric: true }) : numbers[0] - numbers[1];
}

function sort(head, column) {
  const falling = head.getAttribute("aria-sort") === "ascending";
  for (const each of head.parentElement.children) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const body = head.closest("table").tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, key: row.cells[column] ? key(row.cells[column]) : "" }));
  rows.sort((a, b) => (a.key === "" || b.key === "" || !falling ? compare(a.key, b.key) : -compare(a.key, b.key)));
  body.append(...rows.map((each) => each.row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  if (!table.tHead) continue;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.scope = "col";
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head, column));
    head.append(button);
  });
}

const text = document.getElementById("filter-text"), wanted = document.getElementById("filter-verdict");

function filter() {
  const words = text.value.toLowerCase().split(",").map((each) => each.trim());
  let n = 0;
  for (const row of document.querySelectorAll("#runs tbody tr")) {
    const said = row.textContent.toLowerCase();
    const shown = words.every((word) => said.includes(word)) && (!wanted.value || row.dataset.verdict === wanted.value);
    row.hidden = !shown;
    n += shown;
  }
  document.getElementById("filter-count").textContent = `${n} shown`;
}

if (text) for (const each of [text, wanted]) each.addEventListener("input", filter);

function open(anchor) {
  const place = anchor && document.getElementById(anchor);
  if (place && place.tagName === "DETAILS") place.open = true;
}

addEventListener("hashchange", () => open(location.hash.slice(1)));
open(location.hash.slice(1));
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details")) each.open = true;
  for (const each of document.querySelectorAll(".plot")) draw(each);
});
