// Tables that sort and download as CSV. Without JavaScript they are plain tables.
"use strict";
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

  // A spreadsheet takes a text that begins like a formula for one: an apostrophe keeps it a text.
  function field(text, numeric) {
    const safe = !numeric && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  function csv(table) {
    const heads = [...table.tHead.rows[0].cells];
    const numeric = heads.map((head) => head.classList.contains("number"));
    const lines = [heads.map((head) => field(head.dataset.column, false))];
    for (const row of table.tBodies[0].rows) {
      lines.push(heads.map((_, column) => field(value(row, column), numeric[column])));
    }
    return `${lines.map((line) => line.join(",")).join("\n")}\n`;
  }

  function download(table) {
    const address = URL.createObjectURL(new Blob([csv(table)], { type: "text/csv" }));
    const link = document.createElement("a");
    link.href = address;
    link.download = `${table.dataset.name}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
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
})();
