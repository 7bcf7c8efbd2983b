#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What README says of services, done in a booted Debian by t/9300-services.t:
# install, enable, collect, kill, query.  Speaks TAP.
set -u
n=0

ok() {
	n=$((n + 1))
	echo "ok $n - $1"
}

fail() {
	n=$((n + 1))
	echo "not ok $n - $1"
	{
		systemctl --no-pager status 'flow*'
		journalctl --no-pager -u 'flow*' | tail -n 60
	} 2>&1 | sed 's/^/# /'
}

# try NAME COMMAND...
try() {
	local name=$1
	shift
	if "$@"; then ok "$name"; else fail "$name ($*)"; fi
}

# until SECONDS COMMAND...: until it succeeds.
until_() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

running() {
	[ "$(systemctl is-system-running)" = running ]
}

flows() {
	flowq --format row 'table netflows | stats count' 2>/dev/null
}

has() {
	[ "$(flows)" = "{count=$1}" ] || { echo "# $(flows)"; return 1; }
}

# What the ledger says: all was decoded, all was stored, no stage is silent.
balanced() {
	[ "$(flowq --format row 'system pipeline | stats sum(records),
	    sum(stored), count(problem)')" = \
	    "{count(problem)=0, sum(records)=$1, sum(stored)=$1}" ] ||
		{ flowq --format json 'system pipeline' | sed 's/^/# /'; return 1; }
}

send() {
	/test/gen --to 127.0.0.1:2055 --version "$1" --flows "$2" --rate "$3" 2>&1 | sed "s,^,# ,"
}

main_pid() {
	systemctl show -P MainPID "$1"
}

cp -a /test/install/. /
try 'install: the user' systemd-sysusers
try 'install: directories' systemd-tmpfiles --create
systemctl daemon-reload
try 'a logger bound to a table' \
    flowlog create netflow --table netflows
try 'enabled, started' systemctl enable --now flow.target flowlog@netflow
try 'the system runs' until_ 30 running

send 9 10000 50000
try 'flows are in the table' until_ 20 has 10000

# One after the other, while flows come.
send 5 300000 20000 &
sender=$!
for unit in flowdecode flowlog@netflow flowstore flowrecv; do
	sleep 2
	old=$(main_pid "$unit")
	systemctl kill -s KILL "$unit"
	try "$unit: killed, and back" until_ 20 \
	    sh -c "[ \$(systemctl show -P MainPID $unit) != $old ]"
done
sleep 2
pid=$(main_pid flowdecode)
kill -STOP "$pid"
try 'flowdecode: hung, found out by the watchdog, and back' until_ 90 \
    sh -c "[ \$(systemctl show -P MainPID flowdecode) != $pid ]"
wait $sender
try 'nothing was lost and nothing doubled' until_ 60 has 310000
try 'and the ledger balances' until_ 20 balanced 310000

try 'a restart of all' systemctl restart flow.target
send 9 10000 50000
try 'and on it goes' until_ 30 has 320000
try 'the system still runs' running
systemctl --no-pager --failed | sed 's/^/# /'
echo "1..$n"
