/**
 * Guessing passwords takes time: an address whose logins failed again and again is refused for a while, without a look at what it gives.
 * Redis has nothing like it. Failures are forgotten one by one (LOGIN_FAILURE_MS), so that who goes on guessing has one guess a second.
 */
import { LOGIN_ADDRESSES_MAX, LOGIN_FAILURE_MS } from "../../config.js";
import { CommandError } from "../../errors.js";
import type { Client } from "../client.js";

const TOO_MANY = new CommandError("ERR too many failed logins from this address, try again in a second");

export class LoginLimit {
  /** By address: when the last of its failures will be forgotten, in the server's time. The one that failed last is the last. */
  readonly #forgottenMs = new Map<string, number>();

  /** Runs `login`, which throws when it fails, unless the client's address has failed too often (`login-failures-max`). */
  attempt(client: Client, login: () => void): void {
    const { keyspace, settings } = client.server;
    const max = settings.loginFailuresMax;
    const address = networkOf(client.peer.address);
    // Who may connect to a unix socket is the file system's business.
    if (max === 0 || address === undefined) return login();
    const { now } = keyspace;
    const known = this.#forgottenMs.get(address) ?? 0;
    // One that lies too far ahead is from before the clock was set back.
    const forgottenMs = known > now && known <= now + max * LOGIN_FAILURE_MS ? known : now;
    if (forgottenMs - now > (max - 1) * LOGIN_FAILURE_MS) throw TOO_MANY;
    try {
      login();
    } catch (error) {
      this.#remember(address, forgottenMs + LOGIN_FAILURE_MS);
      throw error;
    }
  }

  #remember(address: string, forgottenMs: number): void {
    this.#forgottenMs.delete(address);
    this.#forgottenMs.set(address, forgottenMs);
    if (this.#forgottenMs.size <= LOGIN_ADDRESSES_MAX) return;
    const [oldest] = this.#forgottenMs.keys();
    if (oldest !== undefined) this.#forgottenMs.delete(oldest);
  }
}

const GROUPS = 8;
const NETWORK_GROUPS = 4;

/**
 * What counts as one address: an IPv4 address, or the first half of an IPv6 one, since who has one of these has them all. Undefined for a
 * unix socket.
 */
export function networkOf(endpoint: string): string | undefined {
  if (endpoint.startsWith("/")) return undefined;
  const host = endpoint.slice(0, endpoint.lastIndexOf(":"));
  if (!host.startsWith("[")) return host;
  const [head = "", tail] = host.slice(1, -1).split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const zeros = new Array<string>(Math.max(GROUPS - first.length - last.length, 0)).fill("0");
  return [...first, ...zeros, ...last].slice(0, NETWORK_GROUPS).join(":");
}
