/**
 * The client address as limits and session lists use it: `CF-Connecting-IP`, which the edge writes, and never a header a
 * client can. IPv6 counts by /64, the smallest block a subscriber gets, and by /48, the largest a site does; IPv4-mapped
 * IPv6 is the IPv4 it maps.
 */

/** Where there is no edge in front, every client is this machine. */
const LOCAL_ADDRESS = "127.0.0.1";
/** All addresses that are none share one allowance. */
const MALFORMED = "malformed";

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** The eight 16-bit groups of an IPv6 address, or null. Zone ids are cut off; the URL parser does the rest. */
function ipv6Groups(address: string): number[] | null {
  const [bare = ""] = address.split("%");
  if (!/^[0-9a-fA-F:.]+$/.test(bare)) return null;
  const host = URL.parse(`http://[${bare}]/`)?.hostname.slice(1, -1);
  if (host === undefined) return null;
  const [head = "", tail] = host.split("::");
  const parse = (part: string): number[] => (part === "" ? [] : part.split(":").map((group) => parseInt(group, 16)));
  const left = parse(head);
  const right = tail === undefined ? [] : parse(tail);
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right];
}

/** The address as it is, or this machine's where there is no edge in front. */
export function clientAddress(header: string | null): string {
  return header?.trim() ?? LOCAL_ADDRESS;
}

/**
 * The prefix of an address by which it is counted: an IPv4 address, `2001:db8:1:2::/64`, or `malformed`.
 * @param header the value of `CF-Connecting-IP`
 */
export function addressPrefix(header: string | null): string {
  const address = clientAddress(header);
  if (IPV4.test(address)) return address;
  const groups = ipv6Groups(address);
  if (groups === null) return MALFORMED;
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (mapped) {
    const [high = 0, low = 0] = groups.slice(6);
    return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
  }
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":")}::/64`;
}

/** The /48 around an IPv6 prefix of {@link addressPrefix}, as `2001:db8:1::/48`; null for anything else. */
export function networkPrefix(prefix: string): string | null {
  if (!prefix.endsWith("::/64")) return null;
  return `${prefix.split(":").slice(0, 3).join(":")}::/48`;
}
