package codec

import (
	"net"
	"net/netip"
	"reflect"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"
)

// inetAddr is an address with the length of its network's prefix.
type inetAddr struct {
	addr netip.Addr
	bits int
}

// inetForm is inet: family (2 or 3), prefix length, 0 (1 for cidr), length of the address, address.
type inetForm struct{}

var _ form[inetAddr] = inetForm{}

const (
	familyIPv4 = 2
	familyIPv6 = 3
)

func (f inetForm) fromGo(t Type, v any) (inetAddr, bool, *fault) {
	switch x := v.(type) {
	case netip.Addr:
		return known(inetOf(t, x, x.BitLen()))
	case netip.Prefix:
		return known(inetOf(t, x.Addr(), x.Bits()))
	case net.IP:
		return known(inetOfIP(t, x, -1))
	case net.IPNet:
		return known(inetOfNet(t, x))
	case *net.IPNet:
		return known(inetOfNet(t, *x))
	case string:
		return known(f.fromText(t, x))
	case []byte:
		return known(f.fromText(t, string(x)))
	case pgtype.NetipPrefixValuer:
		p, err := x.NetipPrefixValue()
		if err != nil {
			return inetAddr{}, false, mismatch()
		}
		return known(inetOf(t, p.Addr(), p.Bits()))
	}
	return inetAddr{}, false, nil
}

// inetOf takes the zero Addr and Prefix for NULL, as pgx does. A zone (fe80::1%eth0) has no place in inet.
func inetOf(t Type, a netip.Addr, bits int) (inetAddr, *fault) {
	if !a.IsValid() {
		return inetAddr{}, nullFault()
	}
	if a.Zone() != "" || bits < 0 || bits > a.BitLen() {
		return inetAddr{}, inetFormat(t)
	}
	return inetAddr{addr: a, bits: bits}, nil
}

func inetFormat(t Type) *fault {
	return malformedText(t, "an IPv4 or IPv6 address without zone, optionally with /prefix length")
}

// inetOfIP takes a net.IP, where IPv4 may come in sixteen bytes, for IPv4. bits -1 stands for a single host.
func inetOfIP(t Type, ip net.IP, bits int) (inetAddr, *fault) {
	a, ok := netip.AddrFromSlice(ip)
	if !ok {
		return inetAddr{}, inetFormat(t)
	}
	a = a.Unmap()
	if bits < 0 {
		bits = a.BitLen()
	}
	return inetOf(t, a, bits)
}

func inetOfNet(t Type, n net.IPNet) (inetAddr, *fault) {
	ones, size := n.Mask.Size()
	if size == 0 {
		return inetAddr{}, inetFormat(t)
	}
	if n.IP.To4() != nil && size == 128 {
		ones -= 96 // an IPv4 network written with an IPv6 mask
	}
	if ones < 0 {
		return inetAddr{}, inetFormat(t)
	}
	return inetOfIP(t, n.IP, ones)
}

func (inetForm) fromText(t Type, s string) (inetAddr, *fault) {
	if a, err := netip.ParseAddr(s); err == nil {
		return inetOf(t, a, a.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return inetAddr{}, inetFormat(t)
	}
	return inetOf(t, p.Addr(), p.Bits())
}

func (inetForm) fromBinary(t Type, src []byte) (inetAddr, *fault) {
	if len(src) < 4 || src[2] > 1 || int(src[3]) != len(src)-4 {
		return inetAddr{}, malformedBinary(t)
	}
	a, ok := netip.AddrFromSlice(src[4:])
	family := byte(familyIPv6)
	if a.Is4() {
		family = familyIPv4
	}
	if !ok || src[0] != family || int(src[1]) > a.BitLen() {
		return inetAddr{}, malformedBinary(t)
	}
	return inetAddr{addr: a, bits: int(src[1])}, nil
}

func (inetForm) fit(_ Type, x inetAddr) (inetAddr, *fault) { return x, nil }

func (inetForm) appendBinary(_ Type, dst []byte, x inetAddr) []byte {
	family := byte(familyIPv6)
	if x.addr.Is4() {
		family = familyIPv4
	}
	b := x.addr.AsSlice()
	dst = append(dst, family, byte(x.bits), 0, byte(len(b)))
	return append(dst, b...)
}

// appendText leaves out the prefix length of a single host. Where the upper 96 bits are zero the server writes the
// rest as IPv4, which netip does not.
func (inetForm) appendText(_ Type, dst []byte, x inetAddr) []byte {
	b := x.addr.As16()
	if x.addr.Is6() && [12]byte(b[:12]) == [12]byte{} && (b[12]|b[13]) != 0 {
		dst = netip.AddrFrom4([4]byte(b[12:])).AppendTo(append(dst, "::"...))
	} else {
		dst = x.addr.AppendTo(dst)
	}
	if x.bits == x.addr.BitLen() {
		return dst
	}
	return strconv.AppendInt(append(dst, '/'), int64(x.bits), 10)
}

func (f inetForm) natural(t Type, x inetAddr) any { return string(f.appendText(t, nil, x)) }

// scan refuses to drop a prefix length: an address alone holds single hosts only.
func (inetForm) scan(_ Type, x inetAddr, p any) (bool, *fault) {
	network := x.bits != x.addr.BitLen()
	switch d := p.(type) {
	case *netip.Addr:
		if network {
			return true, networkFault()
		}
		*d = x.addr
	case *netip.Prefix:
		*d = netip.PrefixFrom(x.addr, x.bits)
	case *net.IP:
		if network {
			return true, networkFault()
		}
		*d = x.addr.AsSlice()
	case *net.IPNet:
		*d = net.IPNet{IP: x.addr.AsSlice(), Mask: net.CIDRMask(x.bits, x.addr.BitLen())}
	case pgtype.NetipPrefixScanner:
		if err := d.ScanNetipPrefix(netip.PrefixFrom(x.addr, x.bits)); err != nil {
			return true, mismatch()
		}
	default:
		return false, nil
	}
	return true, nil
}

func networkFault() *fault {
	return &fault{state: stateMismatch, reason: "the stored value is a network, not a single host; read it into a netip.Prefix, net.IPNet or string"}
}

func (inetForm) assign(Type, inetAddr, reflect.Value) (bool, *fault) { return false, nil }
