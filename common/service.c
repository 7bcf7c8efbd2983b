/* SPDX-License-Identifier: BSD-2-Clause */
#include "common/service.h"

#include <string.h>
#include <strings.h>

static const struct protocol {
	const char *name;
	int number;
} protocols[] = {
    {"hopopt", 0}, {"icmp", 1},	  {"igmp", 2},	    {"ipip", 4},
    {"tcp", 6},	   {"egp", 8},	  {"igp", 9},	    {"udp", 17},
    {"dccp", 33},  {"ipv6", 41},  {"rsvp", 46},	    {"gre", 47},
    {"esp", 50},   {"ah", 51},	  {"icmp6", 58},    {"icmpv6", 58},
    {"eigrp", 88}, {"ospf", 89},  {"pim", 103},	    {"vrrp", 112},
    {"l2tp", 115}, {"sctp", 132}, {"udplite", 136},
};

int
protocol_number(const char *p, size_t len)
{
	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
		if (strlen(protocols[i].name) == len &&
		    !strncasecmp(protocols[i].name, p, len))
			return protocols[i].number;
	return -1;
}

const char *
protocol_name(uint64_t number)
{
	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
		if ((uint64_t)protocols[i].number == number)
			return protocols[i].name;
	return NULL;
}

static const struct port {
	uint16_t number;
	const char *name;
} ports[] = {
    /* by number */
    {20, "ftp-data"},
    {21, "ftp"},
    {22, "ssh"},
    {23, "telnet"},
    {25, "smtp"},
    {43, "whois"},
    {49, "tacacs"},
    {53, "domain"},
    {67, "bootps"},
    {68, "bootpc"},
    {69, "tftp"},
    {80, "http"},
    {88, "kerberos"},
    {110, "pop3"},
    {111, "sunrpc"},
    {119, "nntp"},
    {123, "ntp"},
    {135, "epmap"},
    {137, "netbios-ns"},
    {138, "netbios-dgm"},
    {139, "netbios-ssn"},
    {143, "imap"},
    {161, "snmp"},
    {162, "snmptrap"},
    {179, "bgp"},
    {389, "ldap"},
    {427, "svrloc"},
    {443, "https"},
    {445, "microsoft-ds"},
    {464, "kpasswd"},
    {465, "submissions"},
    {500, "isakmp"},
    {514, "syslog"},
    {515, "printer"},
    {546, "dhcpv6-client"},
    {547, "dhcpv6-server"},
    {554, "rtsp"},
    {587, "submission"},
    {631, "ipp"},
    {636, "ldaps"},
    {853, "domain-s"},
    {873, "rsync"},
    {989, "ftps-data"},
    {990, "ftps"},
    {993, "imaps"},
    {995, "pop3s"},
    {1080, "socks"},
    {1194, "openvpn"},
    {1433, "ms-sql-s"},
    {1521, "oracle"},
    {1701, "l2tp"},
    {1723, "pptp"},
    {1812, "radius"},
    {1813, "radius-acct"},
    {1883, "mqtt"},
    {1900, "ssdp"},
    {2049, "nfs"},
    {2055, "netflow"},
    {3128, "squid"},
    {3306, "mysql"},
    {3389, "ms-wbt-server"},
    {3478, "stun"},
    {4500, "ipsec-nat-t"},
    {4739, "ipfix"},
    {5060, "sip"},
    {5061, "sips"},
    {5222, "xmpp-client"},
    {5353, "mdns"},
    {5432, "postgresql"},
    {5900, "vnc"},
    {6343, "sflow"},
    {6379, "redis"},
    {6667, "irc"},
    {8080, "http-alt"},
    {8443, "https-alt"},
    {9092, "kafka"},
    {9200, "elasticsearch"},
    {11211, "memcached"},
    {27017, "mongodb"},
    {51820, "wireguard"},
};

int
port_number(const char *p, size_t len)
{
	for (size_t i = 0; i < sizeof ports / sizeof *ports; i++)
		if (strlen(ports[i].name) == len &&
		    !strncasecmp(ports[i].name, p, len))
			return ports[i].number;
	return -1;
}

const char *
port_name(uint64_t n)
{
	size_t lo = 0, hi = sizeof ports / sizeof *ports;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (ports[mid].number < n)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < sizeof ports / sizeof *ports && ports[lo].number == n
		   ? ports[lo].name
		   : NULL;
}

static const char *const flags[] = {"fin", "syn", "rst", "psh",
				    "ack", "urg", "ece", "cwr"};

int
tcp_flag_bit(const char *p, size_t len)
{
	for (int i = 0; i < 8; i++)
		if (len == 3 && !strncasecmp(flags[i], p, 3))
			return 1 << i;
	return -1;
}

const char *
tcp_flag_name(unsigned bit)
{
	return bit < 8 ? flags[bit] : NULL;
}
