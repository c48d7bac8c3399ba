// Servers that do nothing, as the limit: the null server reads sockets and parses requests as this project does, and gives
// each the same reply; the echo, in C, sends back what it reads.

import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "./temporary-folder.mjs";

/** @typedef {import("./server-process.mjs").Limit} Limit */

const nullServer = fileURLToPath(new URL("../limit/null-server.mjs", import.meta.url));
const loader = new URL("../../test/support/typescript-loader.mjs", import.meta.url).href;
const echoSource = fileURLToPath(new URL("../limit/echo.c", import.meta.url));

/** @type {string | undefined | null} null before it was tried */
let echoProgram = null;

/** @returns {Limit[]} those that there are here */
export function limitsHere() {
  return compiledEcho() === undefined ? ["null"] : ["null", "echo"];
}

/**
 * @param {Limit} limit
 * @param {number} port
 * @returns {string[]}
 */
export function limitCommand(limit, port) {
  if (limit === "null") return [process.execPath, "--import", loader, nullServer, String(port)];
  return [compiledEcho() ?? "", String(port)];
}

/** @returns {string | undefined} the program, or undefined where there is no gcc or no epoll */
function compiledEcho() {
  if (echoProgram === null) {
    const program = path.join(temporaryFolder(), "echo");
    echoProgram = spawnSync("gcc", ["-O2", "-o", program, echoSource]).status === 0 ? program : undefined;
  }
  return echoProgram;
}
