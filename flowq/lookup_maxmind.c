/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/lookup.h"

#ifndef HAVE_MAXMINDDB

struct lookup *
lookup_maxmind(struct plan *p, const char *path)
{
	err_set(p->lexer->err, "%s: this flowq was built without libmaxminddb",
		path);
	plan_fail(p);
	return NULL;
}

#else

#include <maxminddb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nearest.h"
#include "common/text.h"

enum { STEPS_MAX = 8 };

struct maxmind {
	struct lookup lookup;
	MMDB_s db;
};

/* What a column's name stands for in MaxMind's records. */
struct place {
	const char *name;
	enum expr_type type;
	const char *path; /* steps with dots between */
};

static const struct place places[] = {
    {"country", TYPE_STRING, "country.iso_code"},
    {"country_name", TYPE_STRING, "country.names.en"},
    {"continent", TYPE_STRING, "continent.code"},
    {"city", TYPE_STRING, "city.names.en"},
    {"region", TYPE_STRING, "subdivisions.0.names.en"},
    {"postal", TYPE_STRING, "postal.code"},
    {"latitude", TYPE_REAL, "location.latitude"},
    {"longitude", TYPE_REAL, "location.longitude"},
    {"time_zone", TYPE_STRING, "location.time_zone"},
    {"asn", TYPE_UINT, "autonomous_system_number"},
    {"as_org", TYPE_STRING, "autonomous_system_organization"},
    {"isp", TYPE_STRING, "isp"},
    {"organization", TYPE_STRING, "organization"},
};

enum { PLACES = sizeof places / sizeof *places };

struct maxmind_value {
	struct maxmind *m;
	const char *steps[STEPS_MAX + 1]; /* NULL behind the last */
};

static void
maxmind_free(void *p)
{
	struct maxmind *m = p;

	MMDB_close(&m->db);
	free(m);
}

/* The entry that an address has at these steps; false: none. */
static bool
find(const struct maxmind_value *v, unsigned __int128 ip,
     MMDB_entry_data_s *data)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	const struct sockaddr *sa = (const struct sockaddr *)&in6;
	MMDB_lookup_result_s found;
	int error;

	if (ip >> 32 == 0xffff) {
		in.sin_addr.s_addr = htonl((uint32_t)ip);
		sa = (const struct sockaddr *)&in;
	} else {
		for (int i = 0; i < 16; i++)
			in6.sin6_addr.s6_addr[i] =
			    (uint8_t)(ip >> (120 - 8 * i));
	}
	found = MMDB_lookup_sockaddr(&v->m->db, sa, &error);
	return error == MMDB_SUCCESS && found.found_entry &&
	       MMDB_aget_value(&found.entry, data, v->steps) == MMDB_SUCCESS &&
	       data->has_data;
}

static bool
get_number(const MMDB_entry_data_s *d, uint64_t *u, double *f)
{
	switch (d->type) {
	case MMDB_DATA_TYPE_UINT16:
		*u = d->uint16;
		break;
	case MMDB_DATA_TYPE_UINT32:
		*u = d->uint32;
		break;
	case MMDB_DATA_TYPE_UINT64:
		*u = d->uint64;
		break;
	case MMDB_DATA_TYPE_DOUBLE:
		*f = d->double_value;
		*u = *f >= 0 && *f < 1e19 ? (uint64_t)*f : 0;
		return true;
	case MMDB_DATA_TYPE_FLOAT:
		*f = (double)d->float_value;
		*u = *f >= 0 && *f < 1e19 ? (uint64_t)*f : 0;
		return true;
	default:
		return false;
	}
	*f = (double)*u;
	return true;
}

/* Text as it stands in the database, which stays; numbers as text. */
static bool
get_text(struct call *c, const MMDB_entry_data_s *d, struct str *s)
{
	uint64_t u;
	double f;
	char *buf;

	if (d->type == MMDB_DATA_TYPE_UTF8_STRING) {
		*s = (struct str){d->utf8_string, d->data_size};
		return true;
	}
	if (!get_number(d, &u, &f))
		return false;
	buf = arena_bytes(c->e->arena, TEXT_MAX);
	if (!buf)
		return false;
	*s = (struct str){buf, text_f64(buf, f)};
	return true;
}

static int
eval_maxmind(struct call *c)
{
	const struct maxmind_value *v = c->nd->data;
	void *out = call_out(c);
	uint8_t *null = call_nulls(c);

	if (!out || !null)
		return -1;
	memset(out, 0, expr_type_size(c->nd->type) * c->n);
	for (uint32_t i = 0; i < c->n; i++) {
		MMDB_entry_data_s d;
		uint64_t u = 0;
		double f = 0;

		if (null[i])
			continue;
		null[i] =
		    !find(v, VEC_AT(c->args[0], unsigned __int128, i), &d);
		if (null[i])
			continue;
		if (c->nd->type == TYPE_STRING)
			null[i] = !get_text(c, &d, (struct str *)out + i);
		else
			null[i] = !get_number(&d, &u, &f);
		if (c->nd->type == TYPE_UINT)
			((uint64_t *)out)[i] = u;
		else if (c->nd->type == TYPE_REAL)
			((double *)out)[i] = f;
	}
	return 0;
}

static struct node *
maxmind_key(struct lookup *l, struct plan *p, struct node *key, size_t pos)
{
	(void)l;
	if (key->type != TYPE_IPV4 && key->type != TYPE_IP &&
	    key->type != TYPE_NULL) {
		lexer_fail(p->lexer, pos,
			   "expected a field with addresses, found %s",
			   expr_type_article(key->type));
		return NULL;
	}
	key = node_cast(&p->binder, key, TYPE_IP);
	if (!key)
		plan_oom(p);
	return key;
}

/* "a.b" as steps in V. */
static int
set_steps(struct plan *p, struct maxmind_value *v, const char *path)
{
	char *copy = arena_strndup(p->arena, path, strlen(path)), *rest = NULL;
	size_t n = 0;

	if (!copy)
		return plan_oom(p);
	for (char *step = strtok_r(copy, ".", &rest); step && n < STEPS_MAX;
	     step = strtok_r(NULL, ".", &rest))
		v->steps[n++] = step;
	v->steps[n] = NULL;
	return 0;
}

static struct node *
maxmind_value(struct lookup *l, struct plan *p, struct node *key,
	      const char *column, size_t pos)
{
	struct maxmind_value *v = arena_zalloc(p->arena, sizeof(*v));
	struct node *nd = node_new(&p->binder, NODE_CALL, 1);
	struct place place = {column, TYPE_STRING, column};
	struct nearest near;
	char hint[NEAREST_HINT];
	bool known = strchr(column, '.') != NULL;

	nearest_init(&near, column, strlen(column));
	for (size_t i = 0; i < PLACES && !known; i++) {
		nearest_try(&near, places[i].name);
		known = strcmp(places[i].name, column) == 0;
		if (known)
			place = places[i];
	}
	if (!known) {
		lexer_fail(p->lexer, pos,
			   "no column %.*s%s: there are country, city, asn, "
			   "as_org ..., and paths such as location.latitude",
			   NEAREST_MAX, column,
			   nearest_hint(&near, hint, sizeof hint));
		return NULL;
	}
	if (!v || !nd) {
		plan_oom(p);
		return NULL;
	}
	v->m = (struct maxmind *)l;
	if (set_steps(p, v, place.path))
		return NULL;
	nd->name = "lookup";
	nd->type = place.type;
	nd->nullable = true;
	nd->fn = eval_maxmind;
	nd->data = v;
	nd->args[0] = key;
	return nd;
}

struct lookup *
lookup_maxmind(struct plan *p, const char *path)
{
	struct maxmind *m = calloc(1, sizeof(*m));
	int rc;

	if (!m) {
		plan_oom(p);
		return NULL;
	}
	rc = MMDB_open(path, MMDB_MODE_MMAP, &m->db);
	if (rc != MMDB_SUCCESS) {
		err_set(p->lexer->err, "cannot open %s: %s", path,
			MMDB_strerror(rc));
		free(m);
		plan_fail(p);
		return NULL;
	}
	if (plan_own(p, m, maxmind_free))
		return NULL;
	m->lookup.key = maxmind_key;
	m->lookup.value = maxmind_value;
	return &m->lookup;
}

#endif
