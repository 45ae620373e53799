import { fc, test as prop } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { addressPrefix, networkPrefix } from "../../src/limits/address.ts";

describe("the address by which a client is counted", () => {
  test.each([
    ["2001:0DB8:0001:0002::", "2001:db8:1:2::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
  ])("of %j is %j", (header, prefix) => {
    expect(addressPrefix(header)).toBe(prefix);
  });

  test.each([
    "3221225985",
    "192.0.2.1%eth0",
    "2001:db8::1/64",
    "12345::1",
    "2001:db8:1:2:3:4:5:6:7",
    "::1]/@[::2",
    "::1\u0000",
  ])("of %j, which is none, is that of all that are none", (header) => {
    expect(addressPrefix(header)).toBe("malformed");
  });

  prop.prop([
    fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }),
    fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 4, maxLength: 4 }),
    fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 5, maxLength: 5 }),
  ])("is the same for all hosts of a /64, and its network for all of a /48", (groups, host, subnetAndHost) => {
    const text = (parts: readonly number[]): string => parts.map((part) => part.toString(16)).join(":");
    const first = [0x2000 | (groups[0] ?? 0), ...groups.slice(1)];
    const prefix = addressPrefix(text(first));
    expect(addressPrefix(text([...first.slice(0, 4), ...host]))).toBe(prefix);
    const network = networkPrefix(prefix);
    expect(network).toBe(`${text(first.slice(0, 3))}::/48`);
    expect(networkPrefix(addressPrefix(text([...first.slice(0, 3), ...subnetAndHost])))).toBe(network);
  });

  test("has no network but for IPv6", () => {
    for (const prefix of ["192.0.2.1", "127.0.0.1", "malformed"]) expect(networkPrefix(prefix)).toBeNull();
  });
});
