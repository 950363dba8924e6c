// Tables that sort and download as CSV. Without JavaScript they are plain tables.
"use strict";

// A spreadsheet takes a text that begins like a formula for one: an apostrophe keeps it a text.
function csvField(value) {
  const text = String(value), number = text !== "" && Number.isFinite(Number(text));
  const safe = !number && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function saveCsv(name, rows) {
  const text = rows.map((cells) => `${cells.map(csvField).join(",")}\n`).join("");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = `${name}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

(() => {
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;

  function compare(a, b, numeric, sign) {
    if (!numeric) return sign * a.localeCompare(b);
    if (a === "" || b === "") return (a === "") - (b === ""); // missing numbers stay last
    return sign * (Number(a) - Number(b));
  }

  function sort(table, column, head) {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const numeric = head.classList.contains("number");
    const rows = [...table.tBodies[0].rows].map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => compare(a, b, numeric, up ? 1 : -1));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }

  function download(table) {
    const heads = [...table.tHead.rows[0].cells];
    const rows = [...table.tBodies[0].rows].map((row) => heads.map((_, at) => value(row, at)));
    saveCsv(table.dataset.name, [heads.map((head) => head.dataset.column), ...rows]);
  }

  for (const table of document.querySelectorAll("table.data")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => sort(table, column, head));
    });
    const button = document.createElement("button");
    button.type = "button";
    button.className = "csv";
    button.textContent = "CSV";
    button.setAttribute("aria-label", `Download the table ${table.dataset.name} as CSV`);
    button.addEventListener("click", () => download(table));
    table.closest(".table").querySelector(".tools").append(button);
  }

  // Paper has nothing to click: what is folded is printed open.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
