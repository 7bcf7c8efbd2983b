/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowstore/counts.h"

#include <inttypes.h>

#include "common/log.h"

void
counts_add(struct writer_stats *sum, const struct writer_stats *s)
{
	sum->records += s->records;
	sum->duplicates += s->duplicates;
	sum->dropped += s->dropped;
	sum->blocks += s->blocks;
	sum->pieces += s->pieces;
	sum->bytes += s->bytes;
	sum->commits += s->commits;
	sum->segments += s->segments;
	sum->removed += s->removed;
}

void
counts_say(const struct writer_stats *s)
{
	log_line("records: stored %" PRIu64 ", duplicates %" PRIu64
		 ", dropped %" PRIu64 "; %" PRIu64 " blocks, %" PRIu64
		 " pieces, %" PRIu64 " bytes in %" PRIu64 " commits",
		 s->records, s->duplicates, s->dropped, s->blocks, s->pieces,
		 s->bytes, s->commits);
}

void
counts_measure(const struct writer_stats *s, struct metrics *m)
{
	const struct {
		const char *name, *help;
		uint64_t value;
	} all[] = {
	    {"flowstore_records_stored_total", "Records committed", s->records},
	    {"flowstore_records_duplicate_total",
	     "Records that had come before", s->duplicates},
	    {"flowstore_records_dropped_total",
	     "Records of too many shapes, or lost by a failure", s->dropped},
	    {"flowstore_blocks_total", "Full or closed blocks", s->blocks},
	    {"flowstore_pieces_total", "Small blocks", s->pieces},
	    {"flowstore_bytes_total", "Bytes of blocks and pieces", s->bytes},
	    {"flowstore_commits_total", "Commits", s->commits},
	    {"flowstore_segments_total", "Segments begun", s->segments},
	    {"flowstore_segments_removed_total",
	     "Segments removed by retention or for room", s->removed},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		metrics_counter(m, all[i].name, all[i].help);
		metrics_value(m, all[i].value);
	}
}
