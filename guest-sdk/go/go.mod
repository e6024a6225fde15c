module soloist

go 1.25
