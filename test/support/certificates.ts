/** Certificates for TLS, made by openssl in a test's sandbox. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Sandbox } from "./server-process.js";

/** `name`.pem and `name`.key in the sandbox, for localhost and 127.0.0.1: signed by the certificate called ca, or by itself. */
export function makeCertificate(place: Sandbox, name: string, isSigned: boolean): void {
  const run = (...args: string[]) => execFileSync("openssl", args, { cwd: place.folder, stdio: "ignore" });
  const subject = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-keyout",
    `${name}.key`,
    "-subj",
    `/CN=${name}`,
  ];
  if (!isSigned) {
    run("req", "-x509", ...subject, "-days", "2", "-out", `${name}.pem`);
    return;
  }
  run("req", ...subject, "-out", `${name}.csr`);
  writeFileSync(place.path("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names"];
  run("x509", "-req", "-in", `${name}.csr`, ...by, "-days", "2", "-out", `${name}.pem`);
}
