// Carries the precompiled header (pch.hpp) that every layer reuses.
