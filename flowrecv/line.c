/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowrecv/line.h"

#include <stdio.h>

#include "common/text.h"

size_t
line_format(char buf[LINE_BYTES_MAX], const struct datagram *d)
{
	char when[TEXT_MAX], who[TEXT_MAX], version[8] = "null";
	int nwhen = (int)text_time(when, d->time_us);
	int nwho = (int)text_ip(who, d->addr);

	if (d->len >= 2)
		snprintf(version, sizeof(version), "%d",
			 d->payload[0] << 8 | d->payload[1]);
	/* a binding's name has no character that JSON would escape */
	return (size_t)snprintf(
	    buf, LINE_BYTES_MAX,
	    "{\"time\":\"%.*s\",\"binding\":\"%.*s\",\"exporter\":\"%.*s\","
	    "\"port\":%u,\"length\":%zu,\"version\":%s}\n",
	    nwhen, when, (int)d->binding_len, d->binding, nwho, who, d->port,
	    d->len, version);
}
