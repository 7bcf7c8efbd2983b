/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>

#include "flowq/json.h"
#include "flowq/plan.h"

static int
jsonfile_plan(struct plan *p, const struct command *c)
{
	struct text_source *t =
	    text_source_new(&json_format, c->args, p->lexer->err);
	char bom[3];

	if (!t)
		return plan_fail(p);
	if (text_source_read(
		t,
		textfile_read(&t->file, 0, bom, 3, p->lexer->err) == 3 &&
			!memcmp(bom, "\xef\xbb\xbf", 3)
		    ? 3
		    : 0,
		p->lexer->err)) {
		source_free(&t->src);
		return plan_fail(p);
	}
	return plan_text(p, t);
}

/* PATH */
static int
jsonfile_parse(struct lexer *l, void **out)
{
	return parse_path(l, "the path of a file", (const char **)out);
}

static enum verb_class
jsonfile_class(const void *args)
{
	(void)args;
	return VERB_SOURCE;
}

const struct verb verb_jsonfile = {
    "jsonfile", "jsonfile PATH", jsonfile_parse, jsonfile_plan, jsonfile_class,
};
