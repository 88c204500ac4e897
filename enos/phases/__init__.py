"""One module a verb: plan, act, prove. No text, no exit."""
