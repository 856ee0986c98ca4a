import Testing

/// Tests that start a stage: one at a time, for each is a service, an air and three locks, and some count what lives.
@Suite(.serialized)
struct OnStage {}
