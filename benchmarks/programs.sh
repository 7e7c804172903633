# SPDX-License-Identifier: BSD-3-Clause
# Every pattern, API and kind of memory passes the benchmarks' validation; options, exit status and files of
# figures are as --help says.
run=$top_builddir/scripts/run-mpi-test
latency=$top_builddir/osu_alltoallv_layout
overlap=$top_builddir/osu_ialltoallv_layout
dispatch=$top_builddir/osu_moe_dispatch
kernel=$top_builddir/benchmarks/kernel_bench
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failed=0

# expect STATUS RANKS PROGRAM ARGUMENT...
expect() {
  wanted=$1
  ranks=$2
  shift 2
  "$run" -n "$ranks" -t 120 "$@" >"$folder/output" 2>&1
  status=$?
  [ "$status" = 77 ] && { echo "SKIP: no launcher"; exit 77; }
  [ "$status" = "$wanted" ] && return
  echo "status $status instead of $wanted with $ranks ranks: $*"
  cat "$folder/output"
  failed=1
}

# holds TEXT: the last output has it
holds() {
  grep -q -e "$1" "$folder/output" && return
  echo "'$1' is missing in:"
  cat "$folder/output"
  failed=1
}

for ranks in 1 2 3; do
  expect 0 $ranks "$latency" -m 8:64K -i 20 -x 2 -c -f --row 24
  holds Pass
  expect 0 $ranks "$latency" --pattern fft --grid 12x10x9,2x3x1 -i 2 -x 1 -c --api plan
done
expect 0 4 "$latency" --pattern fft --grid 12x10x9 --procs 2x2 --transpose pencil-xy,pencil-zy -i 2 -x 1 -c
expect 0 2 "$latency" --pattern skewed --skew 2 --total 300K --row 37,4096 -i 2 -x 1 -c --memory alloc
expect 0 3 "$latency" --pattern moe --tokens 50 --experts 12 --topk 3 --row 100 -i 2 -x 1 -c --api plan
expect 0 2 "$latency" -m 64:64 -i 2 -x 1 -c --baseline none
expect 0 2 "$latency" -m 1M -M 1K -i 2 -x 1
holds 'skipped, its buffers take'
expect 0 2 "$overlap" -m 1K:64K -i 4 -x 1 -c -f -t 2
expect 0 2 "$overlap" -m 64:64 -i 4 -x 1 -c --api plan --baseline packed,datatypes,alltoallv --json "$folder/overlap"
expect 0 2 "$latency" -m 64:128 -i 4 -x 1 -c --baseline packed,datatypes,copy,alltoallv,direct --json "$folder/latency"
for file in overlap latency; do
  python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["cases"][0]["validation"] == "Pass"' \
    "$folder/$file" || failed=1
done

expect 0 1 "$latency" --help
for option in -m -i -x -f -c -M -h -v --pattern --row --baseline --api --memory --buffers --json --seed --total --grid \
  --transpose --procs --experts --topk --tokens --skew; do
  holds "  $option\|, $option"
done
expect 0 1 "$latency" -v
expect 2 2 "$latency" --no-such-option
holds 'no-such-option: unknown option'
expect 2 2 "$latency" -t 4
expect 2 2 "$latency" --row 12X
holds "'12X' given"
expect 2 2 "$latency" -m 16:8
expect 2 2 "$latency" --pattern fft --procs 3x1
expect 2 2 "$latency" --pattern moe --experts 4
for baselines in packed,datatypes,two-stage,chunked direct none; do
  expect 0 3 "$dispatch" --tokens 20 --row 24,100 -i 2 -x 1 -c --nodes-of-ranks 2,1 --baseline $baselines
  holds Pass
done
expect 0 1 "$dispatch" --help
for option in -i -x -f -c -M -d -h -v --traffic --tokens --experts --top-k --row --skew --seed --api --memory --baseline \
  --chunk --link-rate --nodes-of-ranks --json; do
  holds "  $option\|, $option"
done
expect 2 1 "$dispatch" -d fpga
holds "-d: 'fpga' given"
# Memory of GPUs, on the emulated driver, where there is one.
emulated=$top_builddir/tests/emulated_cuda/.libs/libcuda_emulated.so
if [ -f "$emulated" ]; then
  MPIX_LAYOUT_CUDA_DRIVER=/nonexistent expect 1 1 "$latency" -d cuda -m 8:8 -i 1
  holds 'no CUDA driver: /nonexistent'
  MPIX_LAYOUT_CUDA_DRIVER=$(realpath "$emulated")
  export MPIX_LAYOUT_CUDA_DRIVER
  expect 0 2 "$latency" -d cuda -m 64:64K --row 24 -i 2 -x 1 -c
  holds Pass
  expect 0 3 "$latency" -d cuda --pattern fft --grid 12x10x9 -i 2 -x 1 -c --api plan --baseline packed,ipc
  expect 0 2 "$overlap" -d cuda -m 1K:1K -i 2 -x 1 -c
  expect 0 2 "$top_builddir/benchmarks/validation.mpi"
  expect 0 3 "$top_builddir/benchmarks/validation.mpi"
  expect 0 4 "$dispatch" -d cuda --tokens 20 --row 24,100 -i 2 -x 1 -c --nodes-of-ranks 2,2 \
    --traffic uniform,skewed,one-node,bimodal --json "$folder/dispatch"
  holds 'emulated GPU'
  holds ' two-stage/layout .*Validation'
  python3 -c 'import json, sys
run = json.load(open(sys.argv[1]))
assert run["memory"] == "cuda"
assert all(case["validation"] == "Pass" for case in run["cases"])' "$folder/dispatch" || failed=1
  expect 0 3 "$dispatch" -d cuda --experts 9 --tokens 20 --row 7 -i 2 -x 1 -c --nodes-of-ranks 2,1 --api plan -f
  holds Pass
  for baseline in datatypes chunked; do
    expect 2 2 "$dispatch" -d cuda --baseline $baseline
    holds "$baseline is for host memory only; with -d cuda name"
  done
  for buffers in DH HD; do
    expect 0 3 "$latency" --buffers $buffers --memory alloc -m 64:4K --row 24 -i 2 -x 1 -c
    holds 'packed/layout *Validation'
    holds 'Left out: datatypes is for host memory only; ipc needs .*; copy needs'
    holds 'memory cuda to alloc\|memory alloc to cuda'
    expect 0 3 "$latency" -d cuda --buffers $buffers --pattern fft --grid 12x10x9 -i 2 -x 1 -c --api plan
    holds Pass
    expect 0 2 "$overlap" --buffers $buffers -m 1K:4K -i 2 -x 1 -c --baseline packed
    holds 'packed.*Pass'
    expect 0 2 "$overlap" --buffers $buffers -m 1K:1K -i 2 -x 1 -c
    holds 'Left out: datatypes [^;]*; ipc [^;]*$'
    for baseline in datatypes alltoallv ipc copy; do
      expect 2 1 "$latency" --buffers $buffers --baseline packed,$baseline
      holds "baseline: $baseline .*; name packed, direct or none"
    done
  done
  expect 0 2 "$latency" -m 64:64 --buffers DD -i 2 -x 1 -c
  holds 'ipc/layout'
  expect 0 2 "$latency" -m 64:64 -d cuda --buffers HH -i 2 -x 1 -c
  holds 'datatypes/layout'
  expect 2 2 "$latency" -d cuda --baseline datatypes
  holds 'datatypes is for host memory only'
  small="--total 96K -i 1 -x 0 --warmup-time 0"
  expect 0 1 "$kernel" $small --lead 64K --row 7,20,48,4098 -c --json "$folder/kernel"
  for line in 'gather *rows *DD *7 *1 ' 'copy *segments *DD *20 *4 ' 'copy *segments *DD *4098 *2 ' \
    'scatter *strided *DD *4096 *16 ' 'gather *box *DD' 'gather *rows *DH *48 *16 ' 'scatter *rows *DH *7 *1 ' \
    'gather *rows *HD *48 *16 ' 'scatter *rows *HD *4098 *2 '; do
    holds "^$line"
  done
  python3 -c 'import json, sys
cases = json.load(open(sys.argv[1]))["cases"]
assert {case["memory"] for case in cases} == {"DD", "DH", "HD"}
assert all(case["gb_s"] > 0 for case in cases)' "$folder/kernel" || failed=1
  expect 0 1 "$kernel" $small --lead 0 --cases segments,box -c
  [ "$(grep -c '^gather\|^scatter\|^copy' "$folder/output")" = 23 ] || { echo "other cases than chosen"; failed=1; }
  expect 0 1 "$kernel" --help
  for option in --cases --total --row -i -x --warmup-time --lead -c --json -h; do
    holds "  $option\|, $option"
  done
  expect 2 1 "$kernel" --cases rows,columns
  holds "cases: 'columns' given, one of rows, segments, strided, box, host expected"
  expect 2 1 "$kernel" --warmup-time -1
  expect 2 1 "$kernel" --lead 0K
  expect 2 1 "$kernel" --row 0
  expect 2 1 "$kernel" 64M
  holds '64M: unknown argument'
  unset MPIX_LAYOUT_CUDA_DRIVER
fi
expect 2 1 "$latency" -d fpga
holds "-d: 'fpga'\|-d.*cuda"
for buffers in D DX HDH; do
  expect 2 1 "$latency" --buffers $buffers
  holds "'$buffers' given, DD, DH, HD or HH expected"
done
expect 2 1 "$latency" --memory cuda
expect 2 1 "$latency" --baseline ipc
holds 'ipc needs -d cuda'
exit $failed
