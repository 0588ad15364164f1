import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, isLoopback, parseAddress } from "../../../src/transport/address.js";

test("parseAddress reads names, IPv4 and bracketed IPv6 with a port", () => {
  assert.deepEqual(parseAddress("127.0.0.1:7000"), { host: "127.0.0.1", port: 7000 });
  assert.deepEqual(parseAddress("a-host.example:1"), { host: "a-host.example", port: 1 });
  assert.deepEqual(parseAddress("[::1]:0"), { host: "::1", port: 0 });
  assert.deepEqual(parseAddress(" [fe80::1]:65535 "), { host: "fe80::1", port: 65535 });
});

test("parseAddress answers undefined for what is not HOST:PORT", () => {
  const nonsense = ["", "7000", ":7000", "host", "host:", "host:-1", "host:65536", "host:70 00"];
  const addresses = [
    "::1:7000",
    "[::1]",
    "[host]:1",
    "[127.0.0.1]:1",
    "a b:1",
    "http://a:1",
    "a:1/x",
  ];
  for (const text of [...nonsense, ...addresses]) {
    assert.equal(parseAddress(text), undefined, text);
  }
});

test("what formatAddress writes parseAddress reads back", () => {
  for (const address of [
    { host: "::1", port: 7000 },
    { host: "127.0.0.1", port: 0 },
    { host: "localhost", port: 65535 },
  ]) {
    assert.deepEqual(parseAddress(formatAddress(address)), address);
  }
});

test("isLoopback is true for this machine alone, however it is written", () => {
  for (const host of [
    "localhost",
    "LOCALHOST",
    "127.0.0.1",
    "127.9.8.7",
    "::1",
    "::ffff:127.0.0.1",
  ]) {
    assert.equal(isLoopback(host), true, host);
  }
  const reachable = [
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "128.0.0.1",
    "localhost.example",
    "127.0.0.1.example",
  ];
  for (const host of [...reachable, "::ffff:10.0.0.1", "fe80::1", ""]) {
    assert.equal(isLoopback(host), false, host);
  }
});
