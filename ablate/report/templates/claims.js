// Filters and sorts the rows. What is chosen stands in the address, so that it can be linked to;
// an address that names a row shows all of them.
(() => {
  "use strict";
  const form = document.getElementById("filters");
  if (!form) return;
  const keys = ["q", "verdict", "suite", "note", "kind", "sort"];
  const rows = [...document.querySelectorAll("tr[data-verdict]")];
  const tables = [...document.querySelectorAll("table[data-sorted]")].map((table) => ({
    rows: rows.filter((row) => table.contains(row)),
    groups: [...table.tBodies],
    sorted: table.appendChild(Object.assign(document.createElement("tbody"), { role: "rowgroup" })),
  }));
  const group = new Map(rows.map((row) => [row, row.parentElement]));
  const text = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const rank = new Map([...form.verdict.options].map((option, at) => [option.value, at]));
  const words = (line) => line.split(" ").filter(Boolean);

  function fits(row, asked) {
    const suites = words(row.dataset.suite);
    return (!asked.verdict || row.dataset.verdict === asked.verdict)
      && (!asked.suite || (asked.suite === "none" ? !suites.length : suites.includes(asked.suite)))
      && (!asked.note || row.dataset.note === asked.note)
      && (!asked.kind || words(row.dataset.kind).includes(asked.kind))
      && words(asked.q.toLowerCase()).every((word) => text.get(row).includes(word));
  }

  // Those of no suite come last.
  const by = {
    verdict: (row) => rank.get(row.dataset.verdict),
    suite: (row) => row.dataset.suite || "\uffff",
  };

  function show() {
    const asked = Object.fromEntries(keys.map((key) => [key, form[key].value]));
    const filtered = keys.some((key) => key !== "sort" && asked[key]);
    for (const row of rows) row.hidden = !fits(row, asked);
    for (const { rows, groups, sorted } of tables) {
      const value = by[asked.sort];
      const order = value
        ? [...rows].sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0))
        : rows;
      for (const row of order) (value ? sorted : group.get(row)).append(row);
      for (const it of groups) it.hidden = Boolean(value) || ![...it.rows].some((row) => row.dataset.verdict && !row.hidden);
      sorted.hidden = !value;
    }
    for (const row of rows) {
      const folded = row.parentElement.closest("details");
      if (folded && filtered && !row.hidden) folded.open = true;
    }
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("shown").textContent = filtered
      ? `${shown} of ${rows.length} lines fit`
      : `${rows.length} lines`;
  }

  function read() {
    const hash = location.hash.slice(1);
    const asked = new URLSearchParams(hash.includes("=") ? hash : "");
    for (const key of keys) {
      form[key].value = asked.get(key) ?? "";
      if (form[key].selectedIndex === -1) form[key].value = "";
    }
    show();
    if (hash.includes("=")) form.scrollIntoView();
    const named = document.getElementById(hash);
    if (!named) return;
    for (let it = named.closest("details"); it; it = it.parentElement.closest("details")) it.open = true;
    named.scrollIntoView();
  }

  function write() {
    const asked = new URLSearchParams();
    for (const key of keys) if (form[key].value) asked.set(key, form[key].value);
    history.replaceState(null, "", `#${asked}`);
    show();
  }

  for (const link of document.querySelectorAll("a[data-verdict]")) {
    link.href = `#${new URLSearchParams({ verdict: link.dataset.verdict })}`;
  }
  form.addEventListener("input", write);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(write));
  addEventListener("hashchange", read);
  form.hidden = false;
  read();
})();
