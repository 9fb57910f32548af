# boxgrad. `make help` lists what can be made; sources are found by wildcard, so that a new file
# needs no list edited. Variables: CXX, ARCH (-march), BUILD (where objects go), CXXFLAGS, V=1.

ifeq ($(origin CXX),default)
CXX := g++
endif
ARCH     ?= native
BUILD    ?= build
CXXFLAGS ?= -O3
# gcc 12 sees overlapping copies in "text" + std::string that are not there (its bug 105651), and
# with a sanitizer uninitialised members inside <regex> (its bug 105562).
QUIET := $(if $(findstring clang,$(CXX)),,-Wno-restrict $(if $(findstring sanitize,$(CXXFLAGS)),-Wno-maybe-uninitialized))
# No -ffast-math: checks for NaN must work, and sums keep their order. These two change no result.
# clang 14 would take 64-byte vectors apart on CPUs whose authors preferred shorter ones.
WIDE := $(if $(findstring clang,$(CXX)),$(if $(filter x86_64,$(shell uname -m)),-mprefer-vector-width=512))
FLAGS := -std=c++20 $(CXXFLAGS) $(WIDE) $(if $(ARCH),-march=$(ARCH)) -fno-math-errno -fno-trapping-math \
         -Wall -Wextra -Wpedantic $(QUIET) -I. -pthread
LIBS  := -lopenblas -lpugixml -lz -pthread

# Code that runs once, or waits for a disk, and comes with large headers: optimising it costs seconds
# of building and gains nothing.
COLD := $(wildcard core/serialize.cpp core/strict_json.cpp core/json_fields.cpp core/tfjs_weights.cpp \
  core/report.cpp core/chart*.cpp core/svg.cpp core/graph*.cpp core/gradcheck.cpp \
  core/progress.cpp core/draw_maps.cpp core/exif.cpp core/font.cpp core/nan_check.cpp core/memory.cpp \
  layers/module.cpp layers/path_pattern.cpp layers/count.cpp layers/profile.cpp \
  layers/roofline.cpp layers/svd_linear.cpp detection/regions.cpp detection/data/voc*.cpp detection/data/photo_dataset.cpp detection/data/coco*.cpp detection/data/open_photos.cpp detection/data/in_memory.cpp \
  detection/detections_json.cpp $(wildcard $(addprefix detection/doctor/,checkup*.cpp fault*.cpp opened_folder.cpp preset_anchors.cpp)) \
  detection/training/*.cpp detection/models/*.cpp $(filter-out %/main.cpp,$(wildcard detection/cli/*.cpp)) \
  $(addprefix detection/proposals/,draw_proposals.cpp proposal_cache.cpp proposals.cpp \
    selective_search.cpp))

# What lessons 01 to 05 do not need has an archive of its own: the demo need not wait for it. Of
# detection/ they need only these.
EARLY := $(addprefix detection/,anchors.cpp boxes.cpp draw.cpp evaluation.cpp losses.cpp matcher.cpp \
    nms.cpp postprocess.cpp sampler.cpp) $(filter-out %/in_memory.cpp %/open_photos.cpp $(wildcard detection/data/coco*.cpp),$(wildcard detection/data/*.cpp)) \
  $(addprefix detection/models/,backbone.cpp separable_block.cpp separable_net.cpp ssd.cpp \
    ssd_inspect.cpp ssd_small.cpp) \
  $(addprefix detection/training/,checkpoint.cpp evaluate.cpp loader.cpp log.cpp run_report.cpp \
    step_plan.cpp trainer.cpp)
LATER := $(filter-out $(EARLY) detection/cli/main.cpp,$(wildcard detection/*.cpp detection/*/*.cpp)) \
  $(wildcard core/svd.cpp core/solve.cpp core/json_fields.cpp core/tfjs_weights.cpp layers/inference.cpp layers/svd_linear.cpp \
    layers/local_response_norm.cpp layers/focal_loss.cpp layers/upsample.cpp)

# All cores, unless the command line says otherwise (make -j1).
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
endif
MAKEFLAGS += --no-print-directory --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

V ?= 0
Q := $(if $(filter 1,$(V)),,@)

BIN     := $(BUILD)/bin
OBJ     := $(BUILD)/obj
COMMAND := detection/cli/main.cpp
SOURCES := $(sort $(filter-out $(COMMAND),$(shell find core layers detection -name '*.cpp' 2>/dev/null)))
TESTS   := $(sort $(wildcard tests/*.cpp))
TUTORIALS := $(sort $(patsubst tutorials/%/main.cpp,%,$(wildcard tutorials/*/main.cpp)))
BENCHES   := $(sort $(patsubst tests/bench/%.cpp,%,$(wildcard tests/bench/*.cpp)))
PROGRAMS  := $(TUTORIALS) $(BENCHES) boxgrad
ALL_CPP   := $(SOURCES) $(COMMAND) $(TESTS) $(wildcard tutorials/*/*.cpp tests/bench/*.cpp tests/tools/*.cpp)
LIBRARY   := $(BUILD)/libboxgrad.a
LATER_LIBRARY := $(BUILD)/libboxgrad_later.a
objects    = $(1:%.cpp=$(OBJ)/%.o)

all: programs
programs: $(PROGRAMS:%=$(BIN)/%)
tests: $(BIN)/tests

# --- compiling ------------------------------------------------------------------------------

# Rewritten when the compiler or its flags change, which makes every object stale. ccache is
# not part of the answer.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D); echo '$(filter-out ccache,$(CXX)) $(FLAGS)' | cmp -s - $@ || \
	  echo '$(filter-out ccache,$(CXX)) $(FLAGS)' > $@

# Looks for compiler, libraries and data set, once per build folder. The goals that README names
# install what is missing; the others say how to.
$(BUILD)/deps: tests/tools/deps.sh
	@mkdir -p $(@D)
	@CXX='$(lastword $(CXX))' sh tests/tools/deps.sh \
	  $(if $(filter demo boxgrad test test-% bench reproduce faces tutorial-check,$(MAKECMDGOALS)),ensure,check)
	@touch $@

# The library is compiled in a few units: build/units/layers.cpp includes all of layers/, and so on.
# Most of the time goes to headers, and this way they are read six times instead of a hundred.
# UNITY=0 compiles each file alone: quicker while working on one file, slower for all of them. What
# brings macros or very large headers stays alone.
UNITY ?= 1
ALONE := $(wildcard core/program.cpp core/image.cpp)
UNITS := cold layers core detection $(basename $(notdir $(ALONE)))
hot_in = $(filter $1/%,$(filter-out $(COLD) $(ALONE) $(LATER),$(SOURCES)))
$(UNITS:%=$(BUILD)/units/%.cpp): private MEMBERS = $(or $(call hot_in,$*),$(filter core/$*.cpp,$(ALONE)),$(filter-out $(LATER),$(COLD)))
$(BUILD)/units/later.cpp: private MEMBERS = $(filter-out $(COLD),$(LATER))
$(BUILD)/units/later_cold.cpp: private MEMBERS = $(filter $(COLD),$(LATER))
$(UNITS:%=$(BUILD)/units/%.cpp) $(BUILD)/units/later.cpp $(BUILD)/units/later_cold.cpp: $(BUILD)/units/%.cpp: FORCE
	@mkdir -p $(@D)
	@printf '#include "%s"\n' $(MEMBERS) | cmp -s - $@ || printf '#include "%s"\n' $(MEMBERS) > $@
$(BUILD)/units/%.o: $(BUILD)/units/%.cpp $(BUILD)/flags | $(BUILD)/deps
	@echo "compile $*"
	$(Q)$(CXX) $(FLAGS) -MMD -MP -c $< -o $@

$(call objects,$(COLD) core/program.cpp $(addprefix tests/bench/,full_size_step.cpp winograd_accuracy.cpp) $(filter-out tutorials/18%,$(wildcard tutorials/*/*.cpp))) $(BUILD)/units/cold.o $(BUILD)/units/later_cold.o $(BUILD)/units/program.o: private FLAGS += -O0
# Compiling a test takes longer than running it: under the sanitizers three times as long at -O1.
$(call objects,$(TESTS)): private FLAGS += -O0
$(OBJ)/%.o: %.cpp $(BUILD)/flags | $(BUILD)/deps
	@mkdir -p $(@D)
	@echo "compile $<"
	$(Q)$(CXX) $(FLAGS) -MMD -MP -c $< -o $@

ifeq ($(UNITY),1)
$(LIBRARY): $(UNITS:%=$(BUILD)/units/%.o)
$(LATER_LIBRARY): $(BUILD)/units/later.o $(BUILD)/units/later_cold.o
else
$(LIBRARY): $(call objects,$(filter-out $(LATER),$(SOURCES)))
$(LATER_LIBRARY): $(call objects,$(LATER))
endif
$(LIBRARY) $(LATER_LIBRARY):
	@echo "archive $@"
	@rm -f $@
	$(Q)ar rcs $@ $^

$(TUTORIALS:%=$(BIN)/%): $(BIN)/%: $(OBJ)/tutorials/%/main.o
$(BIN)/reproduce: $(call objects,$(wildcard tutorials/reproduce/*.cpp))
$(BENCHES:%=$(BIN)/%): $(BIN)/%: $(OBJ)/tests/bench/%.o
$(BIN)/boxgrad: $(call objects,$(COMMAND))
boxgrad: $(BIN)/boxgrad  ## the command: train, evaluate, detect on your own photos
$(BIN)/doctor: $(OBJ)/tests/tools/doctor.o
$(BIN)/paste_photos: $(OBJ)/tests/tools/paste_photos.o
early := $(addprefix $(BIN)/,doctor $(filter 01% 02% 03% 04% 05%,$(TUTORIALS)))
$(filter-out $(early),$(PROGRAMS:%=$(BIN)/%)): $(LATER_LIBRARY)
$(PROGRAMS:%=$(BIN)/%) $(BIN)/doctor $(BIN)/paste_photos: $(LIBRARY)
	@mkdir -p $(@D)
	@echo "link $@"
	$(Q)$(CXX) $(FLAGS) $(filter %.o,$^) $(filter $(LATER_LIBRARY),$^) $(LIBRARY) -o $@ $(LIBS)

$(BIN)/tests: $(call objects,$(TESTS) $(filter-out %/fuzz.cpp,$(wildcard tests/fuzz/*.cpp))) $(LATER_LIBRARY) $(LIBRARY)
	@mkdir -p $(@D)
	@echo "link $@"
	$(Q)$(CXX) $(FLAGS) $^ -o $@ $$(sh tests/tools/catch2_libs.sh '$(CXX)') $(LIBS)

# Every op that has a gradient, by name: tests/coverage_listener.cpp compares this list with what
# the double-precision suite has checked, tests/test_survive_faults.cpp with where it put NaN.
$(BUILD)/op_names.inc: $(SOURCES) $(wildcard layers/kernels/*.h)
$(BUILD)/test_op_names.inc: $(TESTS)
$(BUILD)/op_names.inc $(BUILD)/test_op_names.inc: tests/tools/op_names.sh
	@mkdir -p $(@D)
	@sh tests/tools/op_names.sh $(filter %.cpp %.h,$^) > $@.new
	@cmp -s $@.new $@ || cp $@.new $@
$(OBJ)/tests/coverage_listener.o $(OBJ)/tests/test_survive_faults.o: private FLAGS += -I$(BUILD)
$(OBJ)/tests/test_survive_faults.o: $(BUILD)/op_names.inc
$(OBJ)/tests/coverage_listener.o: $(BUILD)/op_names.inc $(BUILD)/test_op_names.inc

DEP_FILES := $(patsubst %.cpp,$(OBJ)/%.d,$(sort $(ALL_CPP) $(wildcard tests/fuzz/*.cpp)))
-include $(wildcard $(DEP_FILES) $(BUILD)/units/*.d)

# --- running --------------------------------------------------------------------------------

demo: $(BUILD)/deps  ## train a detector from nothing and draw what it sees; DATA=PATH for a VOC folder
	$(Q)start=$$(date +%s); $(MAKE) $(BIN)/05_first_detector && \
	  BOXGRAD_BUILD_SECONDS=$$(($$(date +%s) - start)) $(BIN)/05_first_detector --out out/demo \
	  $(if $(DATA),--data '$(DATA)') $(DEMO_ARGS)

test: $(BIN)/tests  ## the tests, in float
	$(Q)$< $(TEST_ARGS)

test-double:  ## the tests in double: every gradient to 1e-6, and no op left out
	$(Q)$(MAKE) test BUILD=$(BUILD)/double CXXFLAGS='-O2 -DBOXGRAD_DOUBLE'

test-asan:  ## the tests under AddressSanitizer, UndefinedBehaviorSanitizer, LeakSanitizer
	$(Q)$(MAKE) test BUILD=$(BUILD)/asan \
	  CXXFLAGS='-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'

test-avx2:  ## the tests, compiled for CPUs without AVX-512
	$(Q)$(MAKE) test BUILD=$(BUILD)/avx2 ARCH=x86-64-v3

# Both numbers of threads are tried, whatever the first one shows. ThreadSanitizer allows a forked
# child no new threads, and a training has a loader: [fork]. It makes steps twenty times as long, and
# these tests are of what fits into a second: [clock].
test-tsan:  ## the tests under ThreadSanitizer, with 2 threads and with 4; not those that fork a training or keep time
	$(Q)$(MAKE) tests BUILD=$(BUILD)/tsan CXXFLAGS='-O1 -g1 -fsanitize=thread'
	$(Q)status=0; for threads in 2 4; do echo "$$threads threads"; \
	  BOXGRAD_THREADS=$$threads $(BUILD)/tsan/bin/tests $(or $(TEST_ARGS),'~[fork]~[clock]~[.]') || status=1; done; exit $$status

test-full: $(BIN)/tests  ## the published networks at full size, before a release: a minute, 1.5 GB of memory
	$(Q)$< '[.full]'

test-kill: $(BIN)/tests  ## kill a training 200 times, some in the middle of writing, and the command half as often; KILLS=1000
	$(Q)BOXGRAD_KILLS=$(or $(KILLS),200) $< '[kill]'

soak: $(BIN)/tests  ## 100,000 steps of a small training, twice; its memory must not grow
	$(Q)BOXGRAD_SOAK_STEPS=$(or $(SOAK_STEPS),100000) $< '[soak]'

# Only what reads files, instrumented; -O1 keeps the build short.
FUZZ_SECONDS ?= 600
FUZZ_TARGETS ?= idx voc coco safetensors tfjs checkpoint jpeg png
FUZZ_SOURCES := $(filter-out core/program.cpp,$(wildcard tests/fuzz/*.cpp core/*.cpp $(addprefix detection/data/,idx.cpp voc*.cpp \
  coco*.cpp photo_dataset.cpp data_report.cpp) detection/training/checkpoint.cpp detection/training/log.cpp))
$(BIN)/fuzz: $(call objects,$(FUZZ_SOURCES))
	@mkdir -p $(@D)
	@echo "link $@"
	$(Q)$(CXX) $(FLAGS) -fsanitize=fuzzer $^ -o $@ $(LIBS)

fuzz:  ## feed the readers of files what no tool writes, 10 minutes each (clang); FUZZ_TARGETS='png', FUZZ_SECONDS=60
	$(Q)$(MAKE) $(BUILD)/fuzz/bin/fuzz BUILD=$(BUILD)/fuzz CXX='$(if $(findstring clang,$(CXX)),$(CXX),clang++)' \
	  CXXFLAGS='-O1 -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer'
	$(Q)sh tests/fuzz/run.sh $(BUILD)/fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

tutorial-check: $(TUTORIALS:%=$(BIN)/%)  ## run every tutorial --quick and compare with its README
	$(Q)sh tests/tools/tutorial_check.sh $(BIN) $(TUTORIALS)

reproduce: $(BIN)/reproduce  ## the papers' claims, measured: about two hours, can be stopped and goes on; REPRODUCE_ARGS='--only ohem'
	$(Q)$< $(REPRODUCE_ARGS)

faces: $(BIN)/16_pretrained_faces  ## fetch a face detector that somebody else trained, check it, draw faces; PHOTOS='a.jpg b.jpg'
	$(Q)sh tests/tools/fetch_faces.sh out/face-api
	$(Q)$< --package out/face-api/package $(FACES_ARGS) $(PHOTOS)

bench: $(BIN)/layers_bench  ## time the layers: a table with percent of peak; BENCH_ARGS='--only conv'
	$(Q)$< --table $(BENCH_ARGS)

# --- keeping the house ----------------------------------------------------------------------

CLANG_FORMAT ?= clang-format
# Golden values are tables that a script printed: they stay as they are.
CPP_FILES = $(shell find core layers detection tutorials tests -path tests/golden -prune -o \
            \( -name '*.h' -o -name '*.cpp' \) -print 2>/dev/null)

format:  ## lay out all C++ files
	$(Q)$(CLANG_FORMAT) -i $(CPP_FILES)

format-check:  ## is all C++ laid out?
	$(Q)$(CLANG_FORMAT) --dry-run --Werror $(CPP_FILES)

lint:  ## the rules that no compiler checks: which way includes point, and so on
	$(Q)sh tests/tools/lint.sh

tidy:  ## clang-tidy over the library (slow)
	$(Q)clang-tidy --quiet $(SOURCES) -- $(filter-out -march=%,$(FLAGS))

deps:  ## install what building needs (Debian, Ubuntu)
	$(Q)CXX='$(lastword $(CXX))' sh tests/tools/deps.sh install

deps-dev:  ## install what only developers need: clang, clang-format, clang-tidy, PyTorch
	$(Q)sh tests/tools/deps.sh install-dev

deps-ci:
	$(Q)CXX='$(lastword $(CXX))' sh tests/tools/deps.sh ensure-ci

doctor:  ## what is installed, what runs, and the remedy for what does not
	$(Q)MAKE='$(MAKE)' CXX='$(CXX)' BIN='$(BIN)' sh tests/tools/doctor.sh

help:  ## this list
	@echo "make [goal] [CXX=g++] [ARCH=native] [BUILD=build] [V=1: show the commands]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

clean:  ## remove the build folder
	rm -rf $(BUILD)

FORCE:
.PHONY: all programs tests boxgrad demo test test-double test-asan test-avx2 test-tsan test-full test-kill soak fuzz tutorial-check reproduce faces bench format \
        format-check lint tidy deps deps-dev deps-ci \
        doctor help clean FORCE
