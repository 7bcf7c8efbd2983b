/* SPDX-License-Identifier: BSD-2-Clause */
/* flowstore tables: what there is. */
#include <limits.h>

#include "common/log.h"
#include "common/place.h"
#include "common/table.h"
#include "flowstore/command.h"
#include "flowstore/listing.h"
#include "flowstore/summary.h"

static const struct cell_name names[] = {
    {"table", CELL_TEXT}, {"rows", CELL_NUMBER}, {"bytes", CELL_BYTES},
    {"first", CELL_TIME}, {"last", CELL_TIME},	 {"retention", CELL_TEXT},
};

static int
read_one(struct summary *s, const char *root, const char *name, struct err *e)
{
	struct shapes *shapes = shapes_new(SHAPES_MAX);
	char dir[PATH_MAX];
	struct table *t = NULL;
	int r = -1;

	if (!shapes)
		return err_set(e, "out of memory");
	if (table_open(&t, root, name, shapes, e) == 0 &&
	    place_table(root, name, dir, sizeof(dir), e) == 0)
		r = summary_of(s, t, dir, e);
	table_close(t);
	shapes_free(shapes);
	return r;
}

static int
add(struct listing *l, const char *root, const char *name)
{
	char retention[RETENTION_TEXT_MAX];
	struct summary s;
	struct err e;
	bool none;

	if (read_one(&s, root, name, &e) != 0) {
		log_line("%s", e.text);
		listing_add(l, (struct cell[]){{.text = name},
					       {.null = true},
					       {.null = true},
					       {.null = true},
					       {.null = true},
					       {.null = true}});
		return 1;
	}
	none = s.first > s.last;
	listing_add(l, (struct cell[]){
			   {.text = name},
			   {.number = s.rows},
			   {.number = s.bytes},
			   {.null = none, .time = s.first},
			   {.null = none, .time = s.last},
			   {.text = retention_text(&s.retention, retention)}});
	return 0;
}

int
tables_run(const struct command_args *a, struct err *e)
{
	struct listing *l = listing_new(names, sizeof(names) / sizeof(*names));
	char **list;
	size_t n;
	int bad = 0, r;

	if (!l)
		return err_set(e, "out of memory");
	if (table_names(a->root, &list, &n, e) != 0) {
		listing_free(l);
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		bad |= add(l, a->root, list[i]);
	r = listing_print(l, a->json, NULL, e);
	if (n == 0 && !a->json)
		log_line("no tables in %s", a->root);
	table_names_free(list, n);
	listing_free(l);
	return r != 0 ? -1 : bad;
}
