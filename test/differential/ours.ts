/**
 * Our server as a target of differential runs.
 */
import { ManualClock } from "../../src/clock.js";
import { LineLog } from "../../src/log.js";
import { DEFAULT_OPTIONS, type ServerOptions } from "../../src/options/table.js";
import { Server } from "../../src/server.js";
import type { Target } from "./runner.js";
import { START_MS } from "./steps.js";

/** As the redis-server beside it, which has no limit of failed logins. */
const ALLOWED = { enableDebugCommand: "yes", loginFailuresMax: 0 } as const;

/** Our server, in this process, holding nothing on disk. */
export async function startOurs(changes: Partial<ServerOptions> = {}): Promise<Target> {
  const clock = new ManualClock(START_MS);
  const log = new LineLog("warning", (line) => process.stderr.write(line));
  const options = { ...DEFAULT_OPTIONS, bind: ["127.0.0.1"], port: 0, db: ":memory:", ...ALLOWED, ...changes };
  const server = await Server.start(options, log, { clock });
  return { port: server.port, setClock: (nowMs) => clock.set(nowMs), stop: () => server.shutdown() };
}
