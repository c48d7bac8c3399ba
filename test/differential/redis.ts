/**
 * A real redis-server as a target of differential runs.
 */
import { RawClient } from "../support/raw-client.js";
import { RedisServer } from "../support/redis-server.js";
import type { Target } from "./runner.js";
import { START_MS } from "./steps.js";

/** A real one. Its active expiry is off, for with a standing clock it only brings chance into DBSIZE. */
export async function startRedis(): Promise<Target> {
  const redis = await RedisServer.start(START_MS);
  const client = await RawClient.connect(redis.port);
  await client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0");
  client.close();
  return redis;
}
