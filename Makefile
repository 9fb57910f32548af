# boxgrad: sources are found by wildcard, so a new file needs no list edited.
CXX      ?= g++
ARCH     ?= native
BUILD    ?= build
CXXFLAGS ?= -O3
WARNINGS := -Wall -Wextra -Wpedantic
FLAGS    := -std=c++20 $(CXXFLAGS) -march=$(ARCH) $(WARNINGS) -I. -pthread
LIBS     := -lopenblas -lpugixml -lz -pthread
SOURCES  := $(sort $(shell find core layers detection -name '*.cpp'))
TESTS    := $(sort $(wildcard tests/*.cpp))

V ?= 0
Q := $(if $(filter 1,$(V)),,@)

all: $(BUILD)/bin/tests

OBJ := $(BUILD)/obj
$(OBJ)/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "compile $<"
	$(Q)$(CXX) $(FLAGS) -MMD -MP -c $< -o $@

$(BUILD)/libboxgrad.a: $(SOURCES:%.cpp=$(OBJ)/%.o)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/bin/tests: $(TESTS:%.cpp=$(OBJ)/%.o) $(BUILD)/libboxgrad.a
	@mkdir -p $(@D)
	$(Q)$(CXX) $^ -o $@ -lCatch2WithMain $(LIBS)

test: $(BUILD)/bin/tests
	$(BUILD)/bin/tests

test-double:
	$(Q)$(MAKE) --no-print-directory test BUILD=build/double CXXFLAGS="-O2 -DBOXGRAD_DOUBLE"

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all test test-double
