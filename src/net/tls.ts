/** The server's side of TLS: certificates as the options name them, read when they are asked for. */
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContextOptions, type SecureVersion } from "node:tls";
import { reasonOf } from "../errors.js";
import type { ServerOptions } from "../options/table.js";

/**
 * Reads the certificates and checks that they fit each other and that the ciphers are some. Throws an Error with the reason, in which
 * the option is named.
 */
export function readCertificates(options: ServerOptions): SecureContextOptions {
  const { tlsCertFile, tlsKeyFile, tlsCaCertFile, tlsAuthClients, tlsCiphers, tlsCiphersuites } = options;
  if (tlsCertFile === "") throw new Error("No tls-cert-file configured!");
  if (tlsKeyFile === "") throw new Error("No tls-key-file configured!");
  if (tlsCaCertFile === "" && tlsAuthClients !== "no") {
    throw new Error("tls-ca-cert-file must be specified when tls-auth-clients is enabled, as it is by default");
  }
  const ciphers = [tlsCiphersuites, tlsCiphers].filter((list) => list !== "").join(":");
  const read: SecureContextOptions = {
    cert: readFile("tls-cert-file", tlsCertFile),
    key: readFile("tls-key-file", tlsKeyFile),
    ...(options.tlsKeyFilePass === "" ? {} : { passphrase: options.tlsKeyFilePass }),
    ...(tlsCaCertFile === "" ? {} : { ca: readFile("tls-ca-cert-file", tlsCaCertFile) }),
    ...(ciphers === "" ? {} : { ciphers }),
    ...versions(options.tlsProtocols),
    honorCipherOrder: options.tlsPreferServerCiphers,
  };
  try {
    createSecureContext(read);
  } catch (cause) {
    throw new Error(`the TLS options do not fit together: ${reasonOf(cause)}`, { cause });
  }
  return read;
}

function readFile(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Error(`can't read ${option}: ${reasonOf(cause)}`, { cause });
  }
}

function versions(protocols: readonly string[]): { minVersion: SecureVersion; maxVersion: SecureVersion } {
  const has = (version: string) => protocols.length === 0 || protocols.some((each) => each.endsWith(version));
  return { minVersion: has("1.2") ? "TLSv1.2" : "TLSv1.3", maxVersion: has("1.3") ? "TLSv1.3" : "TLSv1.2" };
}
