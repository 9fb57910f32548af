#pragma once

// Catch2 version 2 (Debian 12) and version 3 keep their headers in different places and give the
// matcher "the text contains this" different names; tests say ContainsSubstring("...").
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
#else
#include <catch2/catch.hpp>
inline auto ContainsSubstring(const std::string& text) { return Catch::Contains(text); }
#endif
