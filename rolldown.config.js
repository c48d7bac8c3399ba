// Builds dist/. What a start needs comes in few files: to find and load some two hundred modules took as long as all the rest of it.

/** @type {import("rolldown").RolldownOptions} */
export default {
  input: ["src/cli.ts", "src/storage/writer-worker.ts", "src/storage/backup-worker.ts"],
  platform: "node",
  onwarn(warning) {
    throw new Error(warning.message);
  },
  // Packages stay in node_modules, where their native parts are.
  external: /^[^./]/,
  // All files lie in one folder: workers and package.json are found from whichever asks for them.
  output: { dir: "dist", format: "esm", sourcemap: true, chunkFileNames: "[name]-[hash].js" },
};
