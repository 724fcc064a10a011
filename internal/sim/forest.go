package sim

func newForest(s *simulation) machine               { return newLedger(s) }
func forestCommand(s *simulation, c *client) []byte { return ledgerCommand(s, c) }
