"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = read("figures");
  const options = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };
  // A legend below takes as many lines as its names need; the plot keeps its height.
  const grown = (place, data, layout) => {
    const names = data.filter((trace) => trace.showlegend !== false).map((trace) => (trace.name || "").length);
    if (layout.showlegend === false || names.length < 2) return layout.height;
    const columns = Math.max(1, Math.floor(place.clientWidth / (7 * Math.max(...names) + 60)));
    return layout.height + 20 * Math.min(Math.ceil(names.length / columns), 14);
  };
  const plots = figures.map(({ name, data, layout }) => {
    const place = document.getElementById(name);
    layout.height = grown(place, data, layout);
    Plotly.newPlot(place, data, layout, options);
    return place;
  });

  // A choice of values: curves and lines of the table that have others are hidden.
  const selects = [...document.querySelectorAll("select[data-axis]")];
  const chosen = () => selects.map((select) => (select.value === "" ? null : Number(select.value)));
  const fits = (keys, wanted) => wanted.every((value, axis) => value === null || keys[axis] === value);
  const filter = () => {
    const wanted = chosen();
    for (const place of plots) {
      const some = place.data.some((trace) => trace.meta && trace.meta.keys);
      if (!some) continue;
      const visible = place.data.map((trace) => !trace.meta.keys || fits(trace.meta.keys, wanted));
      Plotly.restyle(place, { visible });
    }
    for (const line of document.querySelectorAll("tr[data-keys]")) {
      const keys = line.dataset.keys === "" ? [] : line.dataset.keys.split(" ").map(Number);
      line.hidden = !fits(keys, wanted);
    }
  };
  for (const select of selects) select.addEventListener("change", filter);

  // One heat map for each choice of the other axes.
  const pick = document.getElementById("heat-pick");
  if (pick) {
    pick.addEventListener("change", () => {
      const place = document.getElementById("heat");
      Plotly.restyle(place, { visible: place.data.map((_, index) => index === Number(pick.value)) });
    });
  }
  for (const box of document.querySelectorAll(".filters")) box.hidden = false;

  // Paper has another width than the screen.
  const sized = (width) => Promise.all(plots.map((place) => Plotly.relayout(place, { width, autosize: !width })));
  window.addEventListener("beforeprint", () => sized(Math.min(680, document.body.clientWidth)));
  window.addEventListener("afterprint", () => sized(null));
})();
