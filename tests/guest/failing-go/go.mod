module failing

go 1.25

require soloist v0.0.0

replace soloist => ../../../guest-sdk/go
