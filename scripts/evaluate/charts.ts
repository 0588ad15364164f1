import * as vega from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { PAGE_BYTES } from "../../src/memory/geometry.js";
import { type Evaluation, type Metric, type PointResult, valuesOf } from "./results.js";
import { limitMs, spreadOf } from "./statistics.js";

export interface Chart {
  /** The file's name, without its folder. */
  readonly file: string;
  readonly title: string;
  readonly spec: TopLevelSpec;
}

/** Tells every way apart on white and on black, and for eyes that see red and green alike (Okabe, Ito 2008). */
const COLOURS: Readonly<Record<string, string>> = {
  "pre-copy": "#e69f00",
  "post-copy": "#3d9be0",
  "three-stage (paper)": "#0aa57f",
  "three-stage": "#d55e00",
  "stop-and-copy": "#8c8c8c",
};
/** Readable on both as well. */
const INK = "#7d8590";

/** No background: the page's own shows through. */
const CONFIG = {
  background: "transparent",
  font: "sans-serif",
  view: { stroke: "transparent" },
  axis: {
    labelColor: INK,
    titleColor: INK,
    domainColor: INK,
    tickColor: INK,
    gridColor: "#7d859040",
  },
  header: { labelColor: INK, titleColor: INK },
  legend: { labelColor: INK, titleColor: INK, orient: "bottom", symbolType: "square" },
} as const;

export async function svgOf({ spec }: Chart): Promise<string> {
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: "none" });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}

/** The charts for which there is data. */
export function chartsOf(evaluation: Evaluation): readonly Chart[] {
  const of = (part: string) => evaluation.points.filter((point) => point.part === part);
  const [figures, sweep] = [of("figures"), of("sweep")];
  return [
    ...(figures.length === 0 ? [] : figureCharts(figures, evaluation)),
    ...(sweep.length === 0 ? [] : sweepCharts(sweep, evaluation)),
    ...of("degradation").map(degradationChart),
  ];
}

const QUANTITIES = [
  ["totalMs", "total", "Total migration time (s)", 1000],
  ["downtimeMs", "downtime", "Downtime (ms)", 1],
  ["pages", "pages", "Pages sent / pages of the guest", null],
] as const;

type Quantity = (typeof QUANTITIES)[number];

/** A row of data for each way at each point that was measured. */
function rowsOf(points: readonly PointResult[], [metric, , , unit]: Quantity) {
  return points.flatMap((point) => {
    const scale = unit ?? point.memoryBytes / PAGE_BYTES;
    return point.ways.flatMap((way) => {
      const spread = spreadOf(valuesOf(way, metric satisfies Metric));
      if (spread === undefined) return [];
      const [median, least, most] = [spread.median, spread.least, spread.most].map(
        (value) => value / scale,
      );
      const size = `${String(point.memoryBytes / 2 ** 20)} MiB`;
      const load = `ratio ${String(point.ratio)}`;
      return [{ way: way.way, size, load, ratio: point.ratio, median, least, most }];
    });
  });
}

/** What no migration can be faster than, in seconds, for the charts of total time. */
function limitsOf(points: readonly PointResult[], { bandwidth }: Evaluation) {
  return points.map(({ memoryBytes, ratio, contentPages }) => ({
    size: `${String(memoryBytes / 2 ** 20)} MiB`,
    load: `ratio ${String(ratio)}`,
    ratio,
    limit: limitMs(contentPages, PAGE_BYTES, bandwidth) / 1000,
  }));
}

function colourOf(points: readonly PointResult[]) {
  const names = [...new Set(points.flatMap(({ ways }) => ways.map(({ way }) => way)))];
  const domain = Object.keys(COLOURS).filter((name) => names.includes(name));
  return {
    field: "way",
    title: null,
    scale: { domain, range: domain.map((name) => COLOURS[name] ?? INK) },
  };
}

function scaleOf(metric: Metric) {
  // Downtimes lie powers of ten apart.
  return metric === "downtimeMs" ? ({ type: "log" } as const) : ({ zero: true } as const);
}

function figureCharts(points: readonly PointResult[], evaluation: Evaluation): Chart[] {
  const sizes = points.map(({ memoryBytes }) => memoryBytes).sort((a, b) => a - b);
  const order = [...new Set(sizes)].map((bytes) => `${String(bytes / 2 ** 20)} MiB`);
  const x = { field: "size", title: "Guest memory", sort: order, axis: { labelAngle: 0 } } as const;
  return QUANTITIES.map((quantity) => {
    const [metric, name, title] = quantity;
    const colour = colourOf(points);
    const offset = { field: "way", sort: colour.scale.domain } as const;
    const rows = rowsOf(points, quantity);
    const limits = metric === "totalMs" ? limitsOf(points, evaluation) : [];
    const scale = scaleOf(metric);
    const spec: TopLevelSpec = {
      config: CONFIG,
      data: { values: [...rows, ...limits] },
      facet: { column: { field: "load", title: "Dirty rate over bandwidth" } },
      spec: {
        width: 300,
        height: 220,
        layer: [
          {
            transform: [{ filter: "isValid(datum.median)" }],
            mark: metric === "downtimeMs" ? { type: "point", filled: true, size: 60 } : "bar",
            encoding: {
              x,
              xOffset: offset,
              y: { field: "median", type: "quantitative", title, scale },
              color: colour,
            },
          },
          {
            transform: [{ filter: "isValid(datum.median)" }],
            mark: { type: "rule", color: INK },
            encoding: {
              x,
              xOffset: offset,
              y: { field: "least", type: "quantitative", scale },
              y2: { field: "most" },
            },
          },
          {
            transform: [{ filter: "isValid(datum.limit)" }],
            mark: { type: "tick", color: INK, thickness: 2, width: 60 },
            encoding: { x, y: { field: "limit", type: "quantitative", scale } },
          },
        ],
      },
    };
    return { file: `figures-${name}.svg`, title: `${title} by guest memory`, spec };
  });
}

function sweepCharts(points: readonly PointResult[], evaluation: Evaluation): Chart[] {
  const x = { field: "ratio", type: "quantitative", title: "Dirty rate over bandwidth" } as const;
  return QUANTITIES.map((quantity) => {
    const [metric, name, title] = quantity;
    const colour = colourOf(points);
    const scale = scaleOf(metric);
    const limits = metric === "totalMs" ? limitsOf(points, evaluation) : [];
    const spec: TopLevelSpec = {
      config: CONFIG,
      width: 560,
      height: 240,
      layer: [
        {
          data: { values: rowsOf(points, quantity) },
          mark: { type: "line", point: true },
          encoding: {
            x,
            y: { field: "median", type: "quantitative", title, scale },
            color: colour,
          },
        },
        {
          data: { values: rowsOf(points, quantity) },
          mark: { type: "area", opacity: 0.2 },
          encoding: {
            x,
            y: { field: "least", type: "quantitative", scale },
            y2: { field: "most" },
            color: colour,
          },
        },
        {
          data: { values: limits },
          mark: { type: "line", color: INK, strokeDash: [4, 4] },
          encoding: { x, y: { field: "limit", type: "quantitative", scale } },
        },
      ],
    };
    return { file: `sweep-${name}.svg`, title: `${title} by dirty rate`, spec };
  });
}

function degradationChart(point: PointResult): Chart {
  const values = point.ways.flatMap(({ way, bins }) =>
    bins.map(([ms, operations]) => ({ way, seconds: ms / 1000, operations: operations / 1000 })),
  );
  const spec: TopLevelSpec = {
    config: CONFIG,
    data: { values },
    facet: { row: { field: "way", title: null, sort: Object.keys(COLOURS) } },
    spec: {
      width: 620,
      height: 90,
      mark: { type: "line", strokeWidth: 1 },
      encoding: {
        x: { field: "seconds", type: "quantitative", title: "Seconds since the pause" },
        y: { field: "operations", type: "quantitative", title: "1000 op/s" },
        color: { ...colourOf([point]), legend: null },
      },
    },
  };
  const title = `Operations of ${point.name} in bins of 10 ms`;
  return { file: `degradation-${slugOf(point.name)}.svg`, title, spec };
}

/** As part of a file's name. */
function slugOf(name: string): string {
  return name.replace(/[^a-z0-9]+/gi, "-").toLowerCase();
}
