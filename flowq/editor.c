/* SPDX-License-Identifier: BSD-2-Clause */
#include "flowq/editor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_LIBEDIT
#include <editline/readline.h>
#endif

/* A line editor is one for the process, as its library has it. */
static struct {
	editor_words *words;
	void *ctx;
	char *line;
	size_t cap;
	char file[PATH_MAX]; /* of the history; empty: none */
} editor;

static sigjmp_buf at_prompt;
static volatile sig_atomic_t prompting;

/* Ctrl-C at the prompt: the library's own wait can not be left otherwise. */
static void
on_interrupt(int sig)
{
	(void)sig;
	if (prompting) {
		prompting = 0;
		siglongjmp(at_prompt, 1);
	}
}

static void
catch_interrupt(void)
{
	struct sigaction a = {.sa_handler = on_interrupt};

	sigemptyset(&a.sa_mask);
	sigaction(SIGINT, &a, NULL);
}

#ifdef HAVE_LIBEDIT

enum { HISTORY_MAX = 1000 };

static char **words;
static size_t next_word;

static char *
give_word(const char *text, int state)
{
	size_t len = strlen(text);

	if (state == 0)
		next_word = 0;
	while (words && words[next_word]) {
		const char *w = words[next_word++];

		if (strncasecmp(w, text, len) == 0)
			return strdup(w);
	}
	return NULL;
}

static void
free_words(void)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
	words = NULL;
}

static char **
complete(const char *text, int start, int end)
{
	char append = ' ';

	free_words();
	words = editor.words(editor.ctx, rl_line_buffer, (size_t)start,
			     (size_t)end, &append);
	rl_completion_append_character = (unsigned char)append;
	if (!words)
		return NULL; /* files */
	rl_attempted_completion_over = 1;
	return rl_completion_matches(text, give_word);
}

/* Makes DIR and those above it. */
static void
make_directories(char *dir)
{
	for (char *p = dir + 1; *p; p++)
		if (*p == '/') {
			*p = 0;
			mkdir(dir, 0700);
			*p = '/';
		}
	mkdir(dir, 0700);
}

static void
find_history(const char *name)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char dir[PATH_MAX - 16];
	int n;

	if (state && *state == '/')
		n = snprintf(dir, sizeof dir, "%s/%s", state, name);
	else if (home && *home)
		n = snprintf(dir, sizeof dir, "%s/.local/state/%s", home, name);
	else
		return;
	if (n < 0 || (size_t)n >= sizeof dir)
		return;
	make_directories(dir);
	snprintf(editor.file, sizeof editor.file, "%s/history", dir);
}

void
editor_open(const char *name, editor_words *w, void *ctx)
{
	editor.words = w;
	editor.ctx = ctx;
	rl_readline_name = (char *)name;
	rl_catch_signals = 0;
	rl_initialize();
	rl_attempted_completion_function = complete;
	rl_completer_word_break_characters = " \t\n\"|,()[]{}=<>!+*%";
	using_history();
	stifle_history(HISTORY_MAX);
	find_history(name);
	if (*editor.file)
		read_history(editor.file);
}

void
editor_close(void)
{
	free_words();
	free(editor.line);
	editor.line = NULL;
}

enum editor_result
editor_line(const char *prompt, const char **line)
{
	free(editor.line);
	editor.line = NULL;
	catch_interrupt();
	if (sigsetjmp(at_prompt, 1)) {
		/* The library's terminal, back as it was. */
		rl_deprep_terminal();
		putchar('\n');
		return EDITOR_INTERRUPT;
	}
	prompting = 1;
	editor.line = readline(prompt);
	prompting = 0;
	*line = editor.line;
	return editor.line ? EDITOR_LINE : EDITOR_END;
}

void
editor_remember(const char *line)
{
	HIST_ENTRY *last = history_length
			       ? history_get(history_base + history_length - 1)
			       : NULL;
	mode_t old;

	if (!*line || (last && last->line && !strcmp(last->line, line)))
		return;
	add_history(line);
	if (!*editor.file)
		return;
	/* At once: a console may be killed. */
	old = umask(0077);
	write_history(editor.file);
	umask(old);
}

#else

void
editor_open(const char *name, editor_words *w, void *ctx)
{
	(void)name;
	editor.words = w;
	editor.ctx = ctx;
}

void
editor_close(void)
{
	free(editor.line);
	editor.line = NULL;
}

enum editor_result
editor_line(const char *prompt, const char **line)
{
	ssize_t n;

	catch_interrupt();
	fputs(prompt, stdout);
	fflush(stdout);
	if (sigsetjmp(at_prompt, 1)) {
		putchar('\n');
		return EDITOR_INTERRUPT;
	}
	prompting = 1;
	n = getline(&editor.line, &editor.cap, stdin);
	prompting = 0;
	if (n <= 0)
		return EDITOR_END;
	if (editor.line[n - 1] == '\n')
		editor.line[n - 1] = 0;
	*line = editor.line;
	return EDITOR_LINE;
}

void
editor_remember(const char *line)
{
	(void)line;
}

#endif
