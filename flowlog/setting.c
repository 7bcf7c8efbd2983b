/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowlog/setting.h"

#include <stdlib.h>
#include <string.h>

static const struct kind {
	const char *name;
	struct filter *(*new)(const char *, const struct filter_options *,
			      struct err *);
	bool is_list; /* an empty one lets all through */
	bool changes; /* fields may be of other types after it */
	bool invert;
} kinds[SETTINGS] = {
    [SETTING_SOURCE_ID] = {.name = "source-id",
			   .new = source_filter_new,
			   .is_list = true},
    [SETTING_EXPORTER] = {.name = "exporter",
			  .new = exporter_filter_new,
			  .is_list = true},
    [SETTING_FIELDS] = {.name = "fields", .new = fields_filter_new},
    [SETTING_WHERE] = {.name = "where", .new = where_filter_new},
    [SETTING_TAG] = {.name = "tag", .new = tag_filter_new, .changes = true},
    [SETTING_RENAME] = {.name = "rename",
			.new = rename_filter_new,
			.changes = true},
    [SETTING_EVAL] = {.name = "eval", .new = eval_filter_new, .changes = true},
    [SETTING_MATCH] = {.name = "match", .new = match_filter_new},
    [SETTING_MATCH_NOT] = {.name = "match-not",
			   .new = match_filter_new,
			   .invert = true},
};

const char *
setting_name(enum setting_kind kind)
{
	return kinds[kind].name;
}

int
setting_find(const char *name)
{
	for (int i = 0; i < SETTINGS; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return i;
	return -1;
}

void
settings_clear(struct settings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->list[i].text);
	free(s->list);
	*s = (struct settings){0};
}

int
settings_add(struct settings *s, enum setting_kind kind, const char *text,
	     struct err *err)
{
	struct setting *list;

	if (s->n == STEPS_MAX)
		return err_set(err, "more than %d steps", STEPS_MAX);
	if (strlen(text) > STEP_TEXT_MAX)
		return err_set(err, "%s: longer than %d bytes",
			       kinds[kind].name, STEP_TEXT_MAX);
	list = realloc(s->list, (s->n + 1) * sizeof *list);
	if (!list)
		return err_set(err, "out of memory");
	s->list = list;
	list[s->n] = (struct setting){kind, strdup(text)};
	if (!list[s->n].text)
		return err_set(err, "out of memory");
	s->n++;
	return 0;
}

int
settings_invert(struct settings *s, struct err *err)
{
	if (s->n == 0 || s->list[s->n - 1].kind != SETTING_MATCH)
		return err_set(err, "it stands right after --match");
	s->list[s->n - 1].kind = SETTING_MATCH_NOT;
	return 0;
}

int
settings_filters(const struct settings *s, bool keep_time, struct filter **list,
		 size_t *bad, struct err *err)
{
	struct filter_options o = {.keep_time = keep_time};

	for (size_t i = 0; i < s->n; i++) {
		const struct kind *k = &kinds[s->list[i].kind];
		const char *text = s->list[i].text;
		struct filter *f;

		if (k->is_list && text[strspn(text, ", \t")] == '\0')
			continue;
		o.invert = k->invert;
		f = k->new (text, &o, err);
		if (!f) {
			*bad = i;
			return err_prefix(err, "%s", k->name);
		}
		filters_add(list, f);
		o.changed |= k->changes;
	}
	return 0;
}
