// SPDX-License-Identifier: BSD-3-Clause
/// Layouts from datatypes: the arguments of MPI_Alltoallv and MPI_Alltoallw.
#include <functional>
#include <map>
#include <unordered_map>

#include "base/status.hpp"
#include "base/text.hpp"
#include "layout/arguments.hpp"
#include "layout/assembler.hpp"
#include "layout/build.hpp"
#include "layout/datatype.hpp"

namespace mpix {

namespace {

using namespace layout;

/// Elements of one datatype. Lists that counts of elements make are kept, so that peers share them.
class Elements {
 public:
  explicit Elements(MPI_Datatype type) : type_(decode(type)) {}

  std::int64_t extent() const { return type_.extent(); }

  /// `count` elements, the first displaced by `at` bytes.
  Shape take(std::int64_t count, std::int64_t at) {
    const std::int64_t apart = count > 1 ? type_.extent() : 0;
    if (type_.shape.form == kernels::Form::strided) return shifted(repeated(type_.shape, count, apart), at);
    auto known = lists_.find(count);
    if (known == lists_.end()) known = lists_.emplace(count, repeated(type_.shape, count, apart)).first;
    return shifted(known->second, at);
  }

 private:
  Datatype type_;
  std::unordered_map<std::int64_t, Shape> lists_;
};

}  // namespace

LayoutRef build_v(int npeers, const MPI_Count counts[], const MPI_Count displs[], MPI_Datatype type) {
  check_npeers(npeers);
  check_array(npeers > 0, counts, "counts");
  check_array(npeers > 0, displs, "displs");
  if (type == MPI_DATATYPE_NULL) report_null_type("type");
  Assembler layout(check_counts(npeers, counts, false).peers);
  Elements elements(type);
  for (int peer = 0; peer < npeers; ++peer) {
    if (counts[peer] == 0) continue;
    try {
      layout.add(peer, elements.take(counts[peer], multiply(displs[peer], elements.extent())));
    } catch (const Overflow&) {
      throw Error(Code::count, text("counts[", peer, "] = ", counts[peer], " and displs[", peer,
                                    "] = ", displs[peer], " reach beyond 64-bit offsets"));
    }
  }
  return layout.finish(npeers);
}

LayoutRef build_w(int npeers, const MPI_Count counts[], const MPI_Aint displs[], const MPI_Datatype types[]) {
  check_npeers(npeers);
  check_array(npeers > 0, counts, "counts");
  check_array(npeers > 0, displs, "displs");
  check_array(npeers > 0, types, "types");
  Assembler layout(check_counts(npeers, counts, false).peers);
  for (int peer = 0; peer < npeers; ++peer)
    if (counts[peer] > 0 && types[peer] == MPI_DATATYPE_NULL) report_null_type(text("types[", peer, "]"));
  std::map<MPI_Datatype, Elements, std::less<>> known;
  auto elements = known.end();
  for (int peer = 0; peer < npeers; ++peer) {
    if (counts[peer] == 0) continue;
    if (elements == known.end() || elements->first != types[peer])
      elements = known.try_emplace(types[peer], types[peer]).first;
    try {
      layout.add(peer, elements->second.take(counts[peer], displs[peer]));
    } catch (const Overflow&) {
      throw Error(Code::count, text("counts[", peer, "] = ", counts[peer], " and displs[", peer,
                                    "] = ", displs[peer], " reach beyond 64-bit offsets"));
    }
  }
  return layout.finish(npeers);
}

}  // namespace mpix
