//! Columns of text, as Docker's client aligns them: elastic tab stops, as Go's `text/tabwriter`
//! with a least width of 10 and 3 spaces between columns.

/// Aligns the cells of `text`, which end with tabs. What follows the last tab of a line belongs to
/// no column. A column reaches over adjacent lines that have a cell in it.
pub fn align(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.split('\n').map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|line| vec![0; line.len() - 1]).collect();
    measure(&lines, &mut widths);

    let mut out = String::with_capacity(text.len() * 2);
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        for (column, cell) in line.iter().enumerate() {
            out.push_str(cell);
            if let Some(width) = widths[index].get(column) {
                let missing = width.saturating_sub(cell.chars().count());
                out.extend(std::iter::repeat_n(' ', missing));
            }
        }
    }
    out
}

const LEAST: usize = 10;
const PADDING: usize = 3;

fn measure(lines: &[Vec<&str>], widths: &mut [Vec<usize>]) {
    let columns = widths.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        let mut start = 0;
        while start < lines.len() {
            let has = |line: &Vec<&str>| line.len() > column + 1;
            let length = lines[start..].iter().take_while(|line| has(line)).count();
            let block = start..start + length;
            let cells = lines[block.clone()].iter().map(|line| line[column].chars().count());
            let width = cells.max().map_or(0, |widest| LEAST.max(widest + PADDING));
            for line in block {
                widths[line][column] = width;
            }
            start += length.max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        for (text, aligned) in [
            ("", ""),
            ("no tabs\n", "no tabs\n"),
            ("ID\tNAME\n1234567890\tx\n", "ID           NAME\n1234567890   x\n"),
            ("A\tB\tC\n", "A         B         C\n"),
            ("A\t\tC\n", "A                   C\n"),
            // A line without a cell ends the column.
            ("long long cell\tx\n\nA\tx\n", "long long cell   x\n\nA         x\n"),
            ("\u{e9}\u{e9}\tx\nab\tx", "\u{e9}\u{e9}        x\nab        x"),
        ] {
            assert_eq!(align(text), aligned);
        }
    }

    #[test]
    fn the_list_of_containers() {
        assert_eq!(
            align(
                "CONTAINER ID\tIMAGE\tCOMMAND\tCREATED\tSTATUS\tPORTS\tNAMES\n\
                 1f58407da8dc\tbb\t\"sleep 'a b' c\"\t7 seconds ago\tCreated\t\toracle\n"
            ),
            "CONTAINER ID   IMAGE     COMMAND           CREATED         STATUS    PORTS     NAMES\n\
             1f58407da8dc   bb        \"sleep 'a b' c\"   7 seconds ago   Created             oracle\n"
        );
    }
}
