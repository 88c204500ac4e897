"""What happened inside OpenStack during a request: OSProfiler's points, analysed. Pure.

`points` reads what a bench run kept, `tree` makes spans of it on one clock; `tables`,
`critical`, `crossings` and `compare` draw figures from them, `page` a page.
"""
