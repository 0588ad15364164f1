/**
 * The layers of the house, checked by a program: ARCHITECTURE.md draws them, test/unit/layers.test.ts
 * runs this, and so does `npm run layers`.
 *
 *     cli  →  host  →  source, dest  →  guest, transport  →  memory, protocol  →  ground
 *               →  platform
 *
 * Imports of types count like any other, except where a rule says so.
 */

/** Files that every layer may use. */
const GROUND = "^src/(failure|clock|units)\\.ts$";

/** How a vCPU asks for a page that is missing: all that a guest knows of migration. */
const FAULT_LINES = "^src/transport/fault-lines\\.ts$";

/** `from` may import of our own files only itself, the ground, `layers`, and `files`. */
function layer(from, layers, comment, files = []) {
  const own = [...[from, ...layers].map((name) => `^src/${name}/`), ...files];
  return {
    name: `${from}-below`,
    comment,
    severity: "error",
    from: { path: `^src/${from}/` },
    to: { path: "^src/", pathNot: [...own, GROUND] },
  };
}

module.exports = {
  forbidden: [
    {
      name: "ground",
      comment: "Ground files stand at the bottom: they import each other and nothing else.",
      severity: "error",
      from: { path: GROUND },
      to: { pathNot: GROUND },
    },
    layer("platform", [], "What the system can do is told to who asks; it knows nobody."),
    layer("memory", [], "Guest memory knows nobody."),
    layer("protocol", [], "The wire contract knows nobody."),
    layer("transport", ["protocol"], "Transport carries frames, and is told where their bytes go."),
    layer(
      "guest",
      ["memory", "platform"],
      "A guest runs on memory. Of migration it knows only how to ask for a page that is missing.",
      [FAULT_LINES],
    ),
    layer(
      "source",
      ["guest", "transport", "memory", "protocol", "platform"],
      "The two ends of a migration share the protocol, never code: source must not know dest.",
    ),
    layer(
      "dest",
      ["guest", "transport", "memory", "protocol", "platform"],
      "The two ends of a migration share the protocol, never code: dest must not know source.",
    ),
    layer(
      "host",
      ["source", "dest", "guest", "transport", "memory", "protocol", "platform"],
      "The host puts everything together, and does not know who commands it.",
    ),
    {
      name: "cli-below",
      comment:
        "The command line speaks to the host. Of the layers below it may know what a person types or " +
        "sees: addresses, sizes, the table of guests, the report, the limits, the knobs and what they are " +
        "unless told otherwise.",
      severity: "error",
      from: { path: "^src/cli/" },
      to: {
        path: "^src/",
        pathNot: [
          "^src/(cli|host)/",
          "^src/protocol/(report|limits)\\.ts$",
          "^src/transport/address\\.ts$",
          "^src/guest/(program|programs/builtin)\\.ts$",
          "^src/memory/geometry\\.ts$",
          "^src/source/(tuning|algorithms/(choice|auto|pre-copy))\\.ts$",
          GROUND,
        ],
      },
    },
    {
      name: "host-for-hosts",
      comment:
        "A command that asks a host something does not load what a host is made of: it would start half a second " +
        "later, for nothing.",
      severity: "error",
      from: { path: "^src/cli/", pathNot: "^src/cli/(load-host|run-host|host-session)\\.ts$" },
      to: {
        path: "^src/(host/|cli/(run-host|host-session)\\.ts$)",
        pathNot: "^src/host/(service|events|directory|release)\\.ts$",
        dependencyTypesNot: ["type-only"],
      },
    },
    {
      name: "memory-without-node",
      comment: "Memory does no I/O, but that it reads the page kernel's file.",
      severity: "error",
      from: { path: "^src/memory/", pathNot: "^src/memory/kernel\\.ts$" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "kernel-reads-its-file",
      comment: "The page kernel is read from its file, and that is all.",
      severity: "error",
      from: { path: "^src/memory/kernel\\.ts$" },
      to: { dependencyTypes: ["core"], pathNot: "^(node:)?fs$" },
    },
    {
      name: "protocol-without-node",
      comment: "The wire contract is pure.",
      severity: "error",
      from: { path: "^src/protocol/" },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "sockets-in-transport",
      comment:
        "Only transport makes sockets. Others may name the type of one that they were given.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/transport/" },
      to: {
        path: "^(node:)?(net|tls)$",
        dependencyTypes: ["core"],
        dependencyTypesNot: ["type-only"],
      },
    },
    {
      name: "source-code-alone",
      comment: "What is shipped does not lean on tests, scripts or examples.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(test|scripts|examples)/" },
    },
    {
      name: "no-cycles",
      comment: "A cycle makes one thing of two files.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
  ],
  options: {
    // Kernels are AssemblyScript: no module of ours imports them.
    exclude: { path: "^src/memory/kernels/" },
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { extensions: [".ts", ".js", ".d.ts"], conditionNames: ["import"] },
  },
};
