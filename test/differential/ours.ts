/**
 * Our server as a target of differential runs.
 */
import { ManualClock } from "../../src/clock.js";
import { DEFAULT_OPTIONS, type ServerOptions } from "../../src/config.js";
import { LineLog } from "../../src/log.js";
import { Server } from "../../src/server.js";
import type { Target } from "./runner.js";
import { START_MS } from "./steps.js";

/** As the redis-server beside it. */
const ALLOWED = { enableDebugCommand: "yes" } as const;

/** Our server, in this process, holding nothing on disk. */
export async function startOurs(changes: Partial<ServerOptions> = {}): Promise<Target> {
  const clock = new ManualClock(START_MS);
  const log = new LineLog("warning", (line) => process.stderr.write(line));
  const options = { ...DEFAULT_OPTIONS, host: "127.0.0.1", port: 0, db: ":memory:", ...ALLOWED, ...changes };
  const server = await Server.start(options, log, { clock });
  return { port: server.port, setClock: (nowMs) => clock.set(nowMs), stop: () => server.shutdown() };
}
